use super::*;

fn only(names: &[&str]) -> Share {
    Share::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

fn except(names: &[&str]) -> Share {
    Share::Except(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_share_is_text_and_back() {
    for share in [Share::All, only(&["d.a", "d.b,c"]), except(&["d.\"x"])] {
        assert_eq!(Share::parse(&share.text()), Ok(share));
    }
    assert!(Share::parse("{\"some\": []}").is_err());
}

#[test]
fn every_namespace_is_dealt_to_one_share() {
    let sizes = |sizes: &[u64]| -> Vec<(String, u64)> {
        sizes.iter().enumerate().map(|(index, size)| (format!("d.c{index}"), *size)).collect()
    };
    for (namespaces, tasks, shares) in [
        (sizes(&[]), 4, 1),
        (sizes(&[5]), 4, 1),
        (sizes(&[5, 5]), 4, 2),
        (sizes(&[9, 1, 1, 1, 1]), 2, 2),
        (sizes(&[3; 2000]), 3, 3),
    ] {
        let dealt = deal(namespaces.clone(), tasks);
        assert_eq!(dealt.len(), shares);
        for name in namespaces.iter().map(|one| one.0.as_str()).chain(["d.new", "e.new"]) {
            assert_eq!(dealt.iter().filter(|share| share.covers(name)).count(), 1, "{name} in {dealt:?}");
        }
        assert!(dealt[0].covers("d.new"));
    }
    assert_eq!(deal(sizes(&[9, 1, 1, 1, 1]), 2)[1], only(&["d.c0"]), "the large one has a task of its own");
}

#[test]
fn a_single_task_goes_on_where_it_was() {
    let resumed = resume(&[(Share::All, 7)], &Share::All);
    assert_eq!((resumed.after, resumed.until), (Some(7), Some(7)));
    assert!(!resumed.has_missing());
    let fresh = resume::<i32>(&[], &Share::All);
    assert_eq!(fresh.after, None);
    assert!(!fresh.is_missing("d.a") && !fresh.is_old("d.a", &1) && !fresh.has_missing());
}

#[test]
fn each_namespace_goes_on_at_its_own_newest_position() {
    let stored = [(Share::All, 10), (only(&["d.a"]), 30), (except(&["d.a", "d.b"]), 20), (only(&["d.a", "d.b"]), 15)];
    let all = resume(&stored, &Share::All);
    assert_eq!((all.after, all.until), (Some(15), Some(30)));
    for (namespace, position, old) in [
        ("d.a", 30, true),
        ("d.a", 31, false),
        ("d.b", 15, true),
        ("d.b", 16, false),
        ("d.other", 20, true),
        ("d.other", 21, false),
    ] {
        assert_eq!(all.is_old(namespace, &position), old, "{namespace}@{position}");
    }
    let a = resume(&stored, &only(&["d.a"]));
    assert_eq!((a.after, a.until), (Some(30), Some(30)));
    assert!(!a.has_missing());
}

#[test]
fn what_was_never_read_is_known() {
    let stored = [(only(&["d.a"]), 5)];
    let all = resume(&stored, &Share::All);
    assert_eq!(all.after, Some(5));
    assert!(all.has_missing() && all.is_missing("d.b") && !all.is_missing("d.a"));
    let b = resume(&stored, &only(&["d.b"]));
    assert_eq!(b.after, None, "nothing of it was ever read: it begins as a new connector does");
}

#[test]
fn stages_name_databases_and_collections() {
    assert_eq!(Share::All.stage(), None);
    assert_eq!(except(&[]).stage(), None);
    let stage = only(&["d.a", "d.b.c", "e.a"]).stage();
    let expected = doc! { "$match": { "$or": [
        { "ns.db": "d", "ns.coll": { "$in": ["a", "b.c"] } }, { "ns.db": "e", "ns.coll": { "$in": ["a"] } },
    ] } };
    assert_eq!(stage, Some(expected));
}
