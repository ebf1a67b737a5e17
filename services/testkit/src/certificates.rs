//! Certificates of an authority that lives as long as a test.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority that a test makes for itself.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A certificate and its private key, in PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate, without that of its authority.
    pub cert_file: PathBuf,
    /// The key.
    pub key_file: PathBuf,
}

impl Pair {
    /// Both as text.
    ///
    /// # Errors
    /// When a file is gone.
    pub fn read(&self) -> io::Result<(String, String)> {
        Ok((fs::read_to_string(&self.cert_file)?, fs::read_to_string(&self.key_file)?))
    }
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes its certificate to `file.pem` of `dir`; what is there is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &Path, file: &str) -> io::Result<PathBuf> {
        let file = dir.join(format!("{file}.pem"));
        fs::write(&file, &self.pem)?;
        Ok(file)
    }

    /// A certificate for these host names and addresses, in `file.pem` and `file.key` of `dir`; what is there is replaced.
    ///
    /// # Errors
    /// When a name is none, or a file cannot be written.
    pub fn issue(&self, dir: &Path, file: &str, names: &[&str]) -> io::Result<Pair> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = CertificateParams::new(names).map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let file = |ending: &str| dir.join(format!("{file}.{ending}"));
        let pair = Pair { cert_file: file("pem"), key_file: file("key") };
        fs::write(&pair.cert_file, certificate.pem())?;
        fs::write(&pair.key_file, key.serialize_pem())?;
        Ok(pair)
    }
}
