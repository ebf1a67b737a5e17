use super::*;
use std::os::unix::fs::PermissionsExt;

fn sealer() -> Sealer {
    Sealer::from_key([7; 32])
}

#[test]
fn round_trip_and_every_disturbance() {
    let sealer = sealer();
    for plain in [&b""[..], b"x", &[0xAB; 70_000]] {
        let sealed = sealer.seal(b"entity 1", plain);
        assert_eq!(sealed.bytes.len(), plain.len() + NONCE_BYTES + TAG_BYTES);
        let opened = sealer.open(b"entity 1", sealed.key_id, &sealed.bytes);
        assert_eq!(opened.as_deref(), Ok(plain));
        let wrong_aad = sealer.open(b"entity 2", sealed.key_id, &sealed.bytes);
        assert_eq!(wrong_aad, Err(OpenError::NotAuthentic));
        let other = Sealer::from_key([8; 32]);
        assert_eq!(other.open(b"entity 1", 1, &sealed.bytes), Err(OpenError::NotAuthentic));
        assert_eq!(sealer.open(b"entity 1", 2, &sealed.bytes), Err(OpenError::UnknownKey(2)));
        for at in [0, NONCE_BYTES, sealed.bytes.len() - 1] {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(sealer.open(b"entity 1", 1, &bytes), Err(OpenError::NotAuthentic), "{at}");
        }
        let cut = &sealed.bytes[..NONCE_BYTES + TAG_BYTES - 1];
        assert_eq!(sealer.open(b"entity 1", 1, cut), Err(OpenError::TooShort(39)));
    }
}

#[test]
fn the_stored_format_is_frozen() {
    // Computed once by this code; a change here means that installations lose what they sealed.
    let sealer = Sealer::deterministic_from_key([7; 32]);
    let sealed = sealer.seal(b"aad", b"hello");
    let hashed = sealer.hash16("conversation", &[b"1065", b"491511"]);
    let found = [hex(&sealed.bytes), hex(&hashed), hex(&sealer.fingerprint())];
    assert_eq!(found, [SEALED, HASHED, FINGERPRINT]);
    let from_random = Sealer::from_key([7; 32]).open(b"aad", 1, &sealed.bytes);
    assert_eq!(from_random.as_deref(), Ok(&b"hello"[..]));
}

const SEALED: &str =
    "00227d7c5faf297b0aeb4e6ff2d7fddc45b554aa78592a669286748856cc68ee473c2003b51c01662ce6627487";
const HASHED: &str = "efd49590e3e765d7eb53cd0bddbcc7e7";
const FINGERPRINT: &str = "6d32d2a59bc233a7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn nonces_are_fresh_unless_asked_otherwise() {
    let random = sealer();
    assert_ne!(random.seal(b"a", b"p"), random.seal(b"a", b"p"));
    let repeatable = Sealer::deterministic_from_key([7; 32]);
    let first = repeatable.seal(b"a", b"p");
    assert_eq!(first, repeatable.seal(b"a", b"p"));
    // Another content or another aad must never meet the same nonce.
    for (aad, plain) in [(&b"a"[..], &b"q"[..]), (b"ap", b""), (b"", b"ap"), (b"b", b"p")] {
        let other = repeatable.seal(aad, plain);
        assert_ne!(first.bytes[..NONCE_BYTES], other.bytes[..NONCE_BYTES]);
    }
}

#[test]
fn hashes_separate_domains_parts_and_keys() {
    let sealer = sealer();
    let base = sealer.hash16("d", &[b"ab", b"c"]);
    assert_eq!(base, sealer.hash16("d", &[b"ab", b"c"]));
    let others: [(&str, &[&[u8]]); 5] = [
        ("d", &[b"a", b"bc"]),
        ("d", &[b"abc"]),
        ("d", &[b"ab", b"c", b""]),
        ("da", &[b"b", b"c"]),
        ("e", &[b"ab", b"c"]),
    ];
    for (domain, parts) in others {
        assert_ne!(base, sealer.hash16(domain, parts), "{domain} {parts:?}");
        assert_ne!(sealer.hash8("d", &[b"ab", b"c"]), sealer.hash8(domain, parts));
    }
    assert_ne!(base, Sealer::from_key([8; 32]).hash16("d", &[b"ab", b"c"]));
}

#[test]
fn key_is_created_once_and_only_for_its_owner() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("new/data");
    let first = Sealer::open_dir(&dir).unwrap();
    let path = dir.join("installation.key");
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (32, 0o600));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "the draft is gone");
    let second = Sealer::open_dir(&dir).unwrap();
    assert_eq!(first.fingerprint(), second.fingerprint());
    let sealed = first.seal(b"", b"x");
    assert_eq!(second.open(b"", 1, &sealed.bytes).as_deref(), Ok(&b"x"[..]));
}

#[test]
fn many_first_starts_at_once_agree_on_one_key() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let prints: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Sealer::open_dir(dir).unwrap().fingerprint())).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(prints.len(), 1);
}

#[test]
fn a_bad_key_file_is_refused_and_left_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("installation.key");
    let refuse = |mode: u32, content: &[u8], expected: &str| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let text = Sealer::open_dir(tmp.path()).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    };
    refuse(0o600, &[1; 31], "has 31 bytes, an installation key has 32");
    refuse(0o600, &[], "has 0 bytes");
    refuse(0o640, &[1; 32], "mode 640, so others may read the key: run chmod 600");
    refuse(0o604, &[1; 32], "mode 604");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let text = Sealer::open_dir(tmp.path()).unwrap_err().to_string();
    assert!(text.contains("not a regular file"), "{text}");
}

#[test]
fn debug_discloses_nothing() {
    let sealer = sealer();
    assert_eq!(format!("{sealer:?}"), "Sealer(redacted)");
    assert_eq!(format!("{:?}", sealer.seal(b"", b"abc")), "SealedBytes(key 1, 43 bytes)");
}

#[test]
fn a_decision_seals_the_same_again_and_nothing_else_under_the_same_nonce() {
    let sealer = sealer();
    let base = sealer.seal_derived(b"shop", &[b"key", b"1"], b"hello");
    assert_eq!(base, sealer.seal_derived(b"shop", &[b"key", b"1"], b"hello"));
    assert_eq!(sealer.open(b"shop", base.key_id, &base.bytes).as_deref(), Ok(&b"hello"[..]));
    assert_eq!(sealer.open(b"bank", base.key_id, &base.bytes), Err(OpenError::NotAuthentic));
    let others = [
        sealer.seal_derived(b"bank", &[b"key", b"1"], b"hello"),
        sealer.seal_derived(b"shop", &[b"key", b"2"], b"hello"),
        sealer.seal_derived(b"shop", &[b"key1", b""], b"hello"),
        sealer.seal_derived(b"shop", &[b"key"], b"1hello"),
        sealer.seal_derived(b"shop", &[b"key", b"1"], b"hellO"),
        sealer.seal(b"shop", b"hello"),
        Sealer::from_key([8; 32]).seal_derived(b"shop", &[b"key", b"1"], b"hello"),
    ];
    for other in others {
        assert_ne!(other.bytes.get(..NONCE_BYTES), base.bytes.get(..NONCE_BYTES));
    }
}
