// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting and ending, with shell scripts for QEMU.

use std::io::{Read, Write};

use super::super::device::MemoryDevice;
use super::super::machine::{Boot, Mebibytes};
use super::super::memory::Sharing;
use super::*;
use crate::accel::Accelerator;

/// Bash: the descriptors' numbers can have several digits, which other shells do not redirect to.
fn qemu(script: &str) -> Program {
    // `fd NAME` prints the number of the chardev NAME's socket; `greet` negotiates.
    let prelude = r#"arguments=("$@")
        fd() { for a in "${arguments[@]}"; do case $a in socket,id=$1,fd=*) echo "${a##*fd=}";; esac; done; }
        greet() { qmp=$(fd qmp)
        echo '{"QMP": {"version": {"qemu": {"major": 1, "minor": 2, "micro": 3}, "package": ""}}}' >&$qmp
        read -r line <&$qmp; echo '{"return": {}, "id": 1}' >&$qmp; }"#;
    Program {
        arguments: ["-c".into(), format!("{prelude}\n{script}").into(), "qemu".into()].into(),
        ..Program::new("/bin/bash")
    }
}

fn machine() -> Machine {
    Machine {
        accelerator: Accelerator::Tcg,
        cpu_model: Machine::CPU_MODEL.to_owned(),
        cpus: 1,
        memory: Mebibytes(4),
        devices: vec![MemoryDevice::Nvdimm {
            size: Mebibytes(16),
            label: Mebibytes(2),
        }],
        boot: Boot {
            kernel: "k".into(),
            initramfs: "i".into(),
            command_line: String::new(),
        },
        ports: vec![PortName::new("taster.agent").unwrap()],
    }
}

async fn start(program: &Program, deadline: Duration) -> Result<Spawned, QemuError> {
    let memory = GuestMemory::create_in(&machine(), &[std::env::temp_dir()])?;
    spawn_with(
        program,
        &machine(),
        SpawnOptions {
            memory: Some(memory),
            start: Start::Boot,
            deadline,
            log: None,
        },
    )
    .await
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_qemu_that_dies_at_start_tells_why_at_once() {
    let program = qemu("echo 'qemu: -cpu Nonesuch: unable to find CPU model' >&2; exit 1");
    let begun = Instant::now();
    let error = start(&program, LONG).await.unwrap_err();
    assert!(begun.elapsed() < LONG / 3);
    assert!(matches!(error, QemuError::Died { .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.starts_with("QEMU exited with status 1: qemu: -cpu Nonesuch: unable to find CPU model\n"),
        "{message}"
    );
}

#[tokio::test]
async fn a_missing_qemu_is_named() {
    let error = start(&Program::new("/nonexistent/qemu"), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start QEMU, /nonexistent/qemu");
}

#[tokio::test]
async fn a_qemu_that_never_greets_meets_the_deadline() {
    let program = qemu("exec sleep 1000");
    let error = start(&program, Duration::from_millis(200)).await.unwrap_err();
    assert!(
        matches!(
            &error,
            QemuError::Monitor {
                source: QmpError::NoGreeting { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with("/bin/bash started, but its monitor cannot be used"),
        "{error}"
    );
}

#[tokio::test]
async fn everything_is_connected_and_memory_inherited() {
    let program = qemu(
        r#"greet
        echo "from the console" >&$(fd console)
        read -r word <&$(fd port0); echo "heard $word" >&$(fd port0)
        for a in "${arguments[@]}"; do case $a in memory-backend-file,id=nv0,*)
            path=${a#*mem-path=}; printf poison | dd of="${path%%,*}" conv=notrunc status=none; echo done >&$(fd port0);;
        esac; done
        read -r line <&$qmp; exit 0"#,
    );
    let Spawned {
        process,
        command_line: _,
        qmp,
        console,
        mut ports,
        memory,
        ending,
    } = start(&program, LONG).await.unwrap();
    assert_eq!(qmp.greeting().version.to_string(), "1.2.3");

    let mut console = tokio::io::BufReader::new(console);
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut console, &mut line)
        .await
        .unwrap();
    assert_eq!(line, "from the console\n");

    let mut port = ports.remove(&PortName::new("taster.agent").unwrap()).unwrap();
    let conversation = tokio::task::spawn_blocking(move || {
        port.write_all(b"ping\n").unwrap();
        let mut heard = [0; 16];
        port.read_exact(&mut heard).unwrap();
        String::from_utf8(heard.to_vec()).unwrap()
    });
    assert_eq!(conversation.await.unwrap(), "heard ping\ndone\n");
    let mut first = [0; 6];
    std::os::unix::fs::FileExt::read_exact_at(memory.devices[0].file(), &mut first, 0).unwrap();
    assert_eq!(&first, b"poison");
    assert_eq!(memory.devices[0].sharing(), Sharing::Shared);

    assert_eq!(ending.now(), None);
    let exit = process.end(&qmp, LONG).await;
    assert!(exit.is_orderly(), "{exit}");
    assert_eq!(ending.ended().await.to_string(), "QEMU exited with status 0");
}

#[tokio::test]
async fn a_qemu_that_hangs_is_killed_in_the_end() {
    let spawned = start(&qemu("greet; exec sleep 1000"), LONG).await.unwrap();
    let exit = spawned.process.end(&spawned.qmp, Duration::from_millis(50)).await;
    assert_eq!(exit.to_string(), "QEMU was killed by SIGKILL");
}

#[tokio::test]
async fn commands_learn_what_qemu_died_of() {
    let spawned = start(
        &qemu("greet; read -r line <&$qmp; echo 'Bus error' >&2; kill -BUS $$"),
        LONG,
    )
    .await
    .unwrap();
    let error = spawned
        .qmp
        .raw("stop", serde_json::Value::Null, LONG)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "QEMU cannot answer `stop`: QEMU was killed by SIGBUS: Bus error"
    );
}
