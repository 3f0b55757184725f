// SPDX-License-Identifier: MIT OR Apache-2.0
//! What watchers were told, in lines that cases can look for words in.

use guest_agent::call::{FileError, HealthNews, WatchEvent};
use serde_json::{Value, json};

/// One event in one line of JSON. `type` says what happened, in the words of `guest_agent::call::HealthNews`:
///
/// ```text
/// {"type":"media-error","domain":"data-device","media-error":{"start":102400,"length":4096}}
/// {"type":"shutdown","domain":"mount","shutdown":16}
/// {"type":"file-error","error":5,"count":1,"inode":131}
/// {"type":"badblocks","list":[{"start":102400,"length":4096}]}
/// ```
pub fn line(event: &WatchEvent) -> String {
    let json = match event {
        WatchEvent::Health(event) => {
            let kind = kind(&event.what);
            let mut line = json!({ "type": kind, "domain": event.domain });
            let details = serde_json::to_value(event.what).unwrap_or_default();
            // What has no more to say is its own name.
            if let Value::Object(details) = details {
                line[kind] = details
                    .into_iter()
                    .next()
                    .map(|(_, value)| value)
                    .unwrap_or_default();
            }
            line
        }
        // Without an inode it is the filesystem that is concerned.
        WatchEvent::Fanotify(FileError { error, count, inode }) => json!({
            "type": if inode.is_some() { "file-error" } else { "filesystem-error" },
            "error": error,
            "count": count,
            "inode": inode,
        }),
        WatchEvent::Badblocks(list) => json!({ "type": "badblocks", "list": list }),
    };
    json.to_string()
}

/// What happened, in one word.
const fn kind(news: &HealthNews) -> &'static str {
    match news {
        HealthNews::Running => "running",
        HealthNews::Lost(_) => "lost",
        HealthNews::Unmount => "unmount",
        HealthNews::ShutDown(_) => "shutdown",
        HealthNews::Sick(_) => "sick",
        HealthNews::Corrupt(_) => "corrupt",
        HealthNews::Healthy(_) => "healthy",
        HealthNews::MediaError { .. } => "media-error",
        HealthNews::File { .. } => "file",
        HealthNews::Other(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::FsOffset;
    use guest_agent::call::{HealthDomain, HealthEvent};

    fn health(what: HealthNews, domain: HealthDomain) -> Value {
        serde_json::from_str(&line(&WatchEvent::Health(HealthEvent { what, domain }))).unwrap()
    }

    #[test]
    fn an_event_is_a_line_with_its_words() {
        let lost = HealthNews::MediaError {
            start: FsOffset(102_400),
            length: 4096,
        };
        assert_eq!(
            health(lost, HealthDomain::DataDevice),
            json!({
                "type": "media-error",
                "domain": "data-device",
                "media-error": { "start": 102_400, "length": 4096 },
            })
        );
        assert_eq!(
            health(HealthNews::ShutDown(16), HealthDomain::Mount),
            json!({ "type": "shutdown", "domain": "mount", "shutdown": 16 })
        );
        assert_eq!(
            health(HealthNews::Running, HealthDomain::Mount),
            json!({ "type": "running", "domain": "mount" })
        );
    }

    #[test]
    fn fanotify_tells_of_a_file_or_of_the_filesystem() {
        let told = |inode| {
            line(&WatchEvent::Fanotify(FileError {
                error: 5,
                count: 1,
                inode,
            }))
        };
        assert!(told(Some(131)).contains("file-error"));
        assert!(told(None).contains("filesystem-error"));
    }
}
