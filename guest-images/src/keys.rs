// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SSH keys of an image: fresh ones, so that a guest lets in nobody else and nobody else can pose as it.

use rand_core::OsRng;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

use crate::error::Error;

/// A key pair, in the forms in which it is needed.
pub(crate) struct KeyPair {
    /// OpenSSH's private key file.
    pub(crate) private: String,
    /// OpenSSH's one-line public key, without an end of line.
    pub(crate) public: String,
    /// Dropbear's private key file.
    pub(crate) dropbear: Vec<u8>,
}

impl KeyPair {
    /// A new Ed25519 key; `comment` ends up in the public half.
    pub(crate) fn generate(comment: &str) -> Result<Self, Error> {
        let make = |error: ssh_key::Error| Error::Make {
            what: "an SSH key",
            why: error.to_string(),
        };
        let pair = Ed25519Keypair::random(&mut OsRng);
        let dropbear = dropbear(&pair);
        let key = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(make)?;
        Ok(Self {
            private: key.to_openssh(LineEnding::LF).map_err(make)?.to_string(),
            public: key.public_key().to_openssh().map_err(make)?,
            dropbear,
        })
    }
}

/// Dropbear's own format (its signkey.c, buf_put_priv_key): the key type, then private and public half as one string.
fn dropbear(pair: &Ed25519Keypair) -> Vec<u8> {
    const TYPE: &[u8; 11] = b"ssh-ed25519";
    let mut out = vec![0, 0, 0, 11];
    out.extend(TYPE);
    out.extend([0, 0, 0, 64]);
    out.extend(pair.to_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_belong_together_in_every_form() {
        let pair = KeyPair::generate("test").unwrap();
        let private = PrivateKey::from_openssh(&pair.private).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), pair.public);
        assert!(pair.public.starts_with("ssh-ed25519 ") && pair.public.ends_with(" test"));
        assert_eq!(pair.dropbear.len(), 4 + 11 + 4 + 64);
        let public = private.public_key().key_data().ed25519().unwrap().0;
        assert_eq!(pair.dropbear[51..], public);
    }

    #[test]
    fn every_key_is_another() {
        assert_ne!(
            KeyPair::generate("x").unwrap().public,
            KeyPair::generate("x").unwrap().public
        );
    }
}
