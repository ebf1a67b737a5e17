//! `[archive.s3]`.

use super::{Findings, is_name, is_this_machine};
use crate::config::{Archive, S3};

/// A segment is sent in one request, from memory.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

pub(super) fn check(findings: &mut Findings, archive: &Archive, s3: &S3) {
    if !archive.segments {
        let advice =
            "there are no segments to store: set archive.segments = true, or leave the section out";
        findings.add("archive.s3", advice);
    }
    if archive.segment_bytes > SEGMENT_BYTES_MAX {
        let advice = "with archive.s3 use 1073741824 or less: a segment is sent in one request";
        findings.add("archive.segment_bytes", advice);
    }
    for (key, value) in [("bucket", &s3.bucket), ("region", &s3.region)] {
        if !is_name(value) {
            let advice = "give its name: letters, digits, '.', '_', '-'";
            findings.add(format!("archive.s3.{key}"), advice);
        }
    }
    if !s3.prefix.is_empty() && !s3.prefix.split('/').all(is_name) {
        let advice = "use names of letters, digits, '.', '_', '-', with a slash between them and none around them";
        findings.add("archive.s3.prefix", advice);
    }
    if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
        let advice = "set both access_key_id and secret_access_key, or neither for the credentials of the environment";
        findings.add("archive.s3.access_key_id", advice);
    }
    if let Some(endpoint) = &s3.endpoint {
        check_endpoint(findings, endpoint, s3.insecure_endpoint);
    }
}

fn check_endpoint(findings: &mut Findings, endpoint: &str, is_plain_allowed: bool) {
    let encrypted = endpoint.strip_prefix("https://");
    let Some(host) = encrypted.or_else(|| endpoint.strip_prefix("http://")) else {
        findings.add("archive.s3.endpoint", "write https://host or https://host:port");
        return;
    };
    if host.is_empty() || host.contains(['/', '@', '?', '#']) || host.contains(char::is_whitespace)
    {
        let advice = "write scheme and host alone: https://host or https://host:port";
        findings.add("archive.s3.endpoint", advice);
    } else if encrypted.is_none() && !is_plain_allowed && !is_this_machine(host) {
        let advice = "use https; or set archive.s3.insecure_endpoint = true if the network in between protects it";
        findings.add("archive.s3.endpoint", advice);
    }
}
