//! Certificates of an authority that lives as long as a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bus::jetstream::ClientCertificate;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use testkit::nats::Setup;

/// An authority that signs certificates for loopback, and writes them as PEM files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn ca_file(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(format!("{name}.ca.pem"));
        fs::write(&file, &self.pem).unwrap();
        file
    }

    pub(crate) fn certificate(&self, folder: &Path, name: &str) -> ClientCertificate {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let certificate_file = folder.join(format!("{name}.pem"));
        let key_file = folder.join(format!("{name}.key.pem"));
        fs::write(&certificate_file, signed.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        ClientCertificate { certificate_file, key_file }
    }

    /// Gives a server a certificate; the variables are `NATS_{kind}_CERT`, `_KEY` and `_CA`.
    pub(crate) fn equip(&self, setup: Setup, folder: &Path, kind: &str) -> Setup {
        let ClientCertificate { certificate_file, key_file } = self.certificate(folder, kind);
        let ca_file = self.ca_file(folder, kind);
        let files = [("CERT", certificate_file), ("KEY", key_file), ("CA", ca_file)];
        files.into_iter().fold(setup, |setup, (what, file)| {
            setup.with(&format!("NATS_{kind}_{what}"), &format!("\"{}\"", file.display()))
        })
    }
}
