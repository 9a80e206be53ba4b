//! What every store must do, run against all three twins. The etcd twin uses the cluster named by `ETCD_ENDPOINTS`, or a
//! private `etcd` process of the test's own.

mod embedded_tests;
mod private_etcd;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;

use super::memory::MemoryStore;
use super::*;

/// A store and a prefix that nobody else uses.
struct Fixture {
    store: Arc<dyn Store>,
    root: String,
}

impl Fixture {
    fn new(store: Arc<dyn Store>) -> Self {
        Self { store, root: format!("/contract-{}/", uuid::Uuid::new_v4()) }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }

    fn put(&self, name: &str, value: &str) -> Write {
        Write::Put { key: self.key(name), value: value.as_bytes().to_vec(), lease: None }
    }

    async fn write(&self, writes: Vec<Write>) -> i64 {
        self.store.commit(Commit { guards: Vec::new(), writes }).await.expect("committed")
    }

    async fn commit(&self, guards: Vec<Guard>, writes: Vec<Write>) -> Result<i64, StoreError> {
        self.store.commit(Commit { guards, writes }).await
    }

    async fn value(&self, name: &str) -> Option<String> {
        let found = self.store.get(&self.key(name)).await.expect("read");
        found.map(|entry| String::from_utf8(entry.value).expect("text"))
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        let listing = self.store.list(&self.key(prefix)).await.expect("listed");
        listing.entries.iter().map(|entry| entry.key[self.root.len()..].to_owned()).collect()
    }
}

async fn next(events: &mut BoxStream<'static, Event>) -> Event {
    timeout(Duration::from_secs(20), events.next()).await.expect("an event in time").expect("no end")
}

/// All of the contract, on a store.
async fn suite(store: Arc<dyn Store>) {
    let fixture = || Fixture::new(Arc::clone(&store));
    reads_see_writes(fixture()).await;
    listing_is_ordered_and_whole(fixture()).await;
    guards_decide(fixture()).await;
    a_conflict_writes_nothing(fixture()).await;
    prefixes_are_deleted(fixture()).await;
    watch_follows_a_listing_without_a_gap(fixture()).await;
    watch_sees_the_past_and_its_prefix_only(fixture()).await;
    a_lease_ends(fixture()).await;
    a_lease_kept_alive_does_not_end(fixture()).await;
    a_revoked_lease_ends_now(fixture()).await;
    limits_hold(fixture()).await;
    concurrent_commits_are_serial(fixture()).await;
}

async fn reads_see_writes(f: Fixture) {
    assert_eq!(f.value("a").await, None);
    let first = f.write(vec![f.put("a", "1")]).await;
    let second = f.write(vec![f.put("a", "2"), f.put("b", "3")]).await;
    assert!(second > first);
    let a = f.store.get(&f.key("a")).await.expect("read").expect("there");
    assert_eq!((a.value.as_slice(), a.created, a.revision), (b"2".as_slice(), first, second));
    let b = f.store.get(&f.key("b")).await.expect("read").expect("there");
    assert_eq!((b.created, b.revision), (second, second));
    f.write(vec![Write::Delete { key: f.key("a") }]).await;
    assert_eq!(f.value("a").await, None);
    let third = f.write(vec![f.put("a", "4")]).await;
    let a = f.store.get(&f.key("a")).await.expect("read").expect("there");
    assert_eq!((a.created, a.revision), (third, third), "a key made again is a new key");
}

async fn listing_is_ordered_and_whole(f: Fixture) {
    for chunk in (0..1050).collect::<Vec<u32>>().chunks(90) {
        f.write(chunk.iter().map(|n| f.put(&format!("many/{n:05}"), "x")).collect()).await;
    }
    f.write(vec![f.put("manyothers", "x")]).await;
    let names = f.names("many/").await;
    assert_eq!(names.len(), 1050);
    assert!(names.is_sorted());
    assert_eq!(f.names("nothing").await, [""; 0]);
    let revision = f.write(vec![f.put("z", "x")]).await;
    assert!(f.store.list(&f.key("")).await.expect("listed").revision >= revision);
}

async fn guards_decide(f: Fixture) {
    let key = f.key("a");
    let absent = || vec![Guard::Absent { key: key.clone() }];
    let created = f.commit(absent(), vec![f.put("a", "1")]).await.expect("was absent");
    assert!(matches!(f.commit(absent(), vec![f.put("a", "2")]).await, Err(StoreError::Conflict)));
    let at = |revision| vec![Guard::Revision { key: key.clone(), revision }];
    let changed = f.commit(at(created), vec![f.put("a", "3")]).await.expect("unchanged since");
    assert!(matches!(f.commit(at(created), vec![f.put("a", "4")]).await, Err(StoreError::Conflict)));
    let made = |revision| vec![Guard::Created { key: key.clone(), revision }];
    f.commit(made(created), vec![f.put("a", "5")]).await.expect("the same key as at first");
    assert!(matches!(f.commit(made(changed), vec![f.put("a", "6")]).await, Err(StoreError::Conflict)));
    f.write(vec![Write::Delete { key: key.clone() }]).await;
    assert!(matches!(f.commit(made(created), vec![f.put("a", "7")]).await, Err(StoreError::Conflict)));
    assert!(matches!(f.commit(at(changed), vec![f.put("a", "8")]).await, Err(StoreError::Conflict)));
    f.write(vec![f.put("a", "9")]).await;
    assert!(matches!(f.commit(made(created), vec![f.put("a", "10")]).await, Err(StoreError::Conflict)));
    assert_eq!(f.value("a").await.as_deref(), Some("9"));
}

async fn a_conflict_writes_nothing(f: Fixture) {
    f.write(vec![f.put("a", "1"), f.put("dir/b", "1")]).await;
    let guards = vec![Guard::Absent { key: f.key("free") }, Guard::Absent { key: f.key("a") }];
    let writes = vec![f.put("free", "2"), f.put("a", "2"), Write::DeletePrefix { prefix: f.key("dir/") }];
    assert!(matches!(f.commit(guards, writes).await, Err(StoreError::Conflict)));
    assert_eq!(f.value("a").await.as_deref(), Some("1"));
    assert_eq!(f.value("free").await, None);
    assert_eq!(f.names("dir/").await, ["dir/b"]);
}

async fn prefixes_are_deleted(f: Fixture) {
    f.write(vec![f.put("c/1", ""), f.put("c/2", ""), f.put("c", ""), f.put("c0", ""), f.put("b", "")]).await;
    f.write(vec![Write::DeletePrefix { prefix: f.key("c/") }, f.put("d", "")]).await;
    assert_eq!(f.names("").await, ["b", "c", "c0", "d"]);
}

async fn watch_follows_a_listing_without_a_gap(f: Fixture) {
    f.write(vec![f.put("n", "0")]).await;
    let store = Arc::clone(&f.store);
    let key = f.key("n");
    let writer = tokio::spawn(async move {
        for n in 1..=200 {
            let value = n.to_string().into_bytes();
            let put = Write::Put { key: key.clone(), value, lease: None };
            store.commit(Commit { guards: Vec::new(), writes: vec![put] }).await.expect("committed");
        }
    });
    let listing = f.store.list(&f.root).await.expect("listed");
    let mut seen: u32 = String::from_utf8_lossy(&listing.entries[0].value).parse().expect("a number");
    let mut events = f.store.watch(&f.root, listing.revision + 1).await.expect("watched");
    while seen < 200 {
        let Event::Put(entry) = next(&mut events).await else { panic!("only puts were done") };
        let value: u32 = String::from_utf8_lossy(&entry.value).parse().expect("a number");
        assert_eq!(value, seen + 1);
        seen = value;
    }
    writer.await.expect("written");
}

async fn watch_sees_the_past_and_its_prefix_only(f: Fixture) {
    let first = f.write(vec![f.put("w/a", "1"), f.put("other", "1")]).await;
    f.write(vec![f.put("w/a", "2")]).await;
    f.write(vec![Write::Delete { key: f.key("w/nothing") }, f.put("other", "2")]).await;
    let mut events = f.store.watch(&f.key("w/"), first).await.expect("watched");
    let deleted = f.write(vec![Write::DeletePrefix { prefix: f.key("w/") }, f.put("x", "3")]).await;
    for expected in ["1", "2"] {
        let Event::Put(entry) = next(&mut events).await else { panic!("a put was next") };
        assert_eq!(entry.value, expected.as_bytes());
        assert_eq!(entry.created, first);
    }
    assert_eq!(next(&mut events).await, Event::Delete { key: f.key("w/a"), revision: deleted });
    let mut from_now = f.store.watch(&f.key("w/"), 0).await.expect("watched");
    let revision = f.write(vec![f.put("w/new", "4")]).await;
    let Event::Put(entry) = next(&mut from_now).await else { panic!("a put was next") };
    assert_eq!((entry.key, entry.revision), (f.key("w/new"), revision));
}

async fn a_lease_ends(f: Fixture) {
    let lease = f.store.grant(Duration::from_secs(1)).await.expect("granted");
    let leased = |name: &str| Write::Put { key: f.key(name), value: b"1".to_vec(), lease: Some(lease) };
    let revision = f.write(vec![leased("l/a"), leased("l/b"), leased("l/kept"), f.put("l/c", "")]).await;
    f.write(vec![f.put("l/kept", "by nobody")]).await;
    let mut events = f.store.watch(&f.key("l/"), revision + 2).await.expect("watched");
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let Event::Delete { key, .. } = next(&mut events).await else { panic!("only deletions were due") };
        gone.push(key);
    }
    gone.sort();
    assert_eq!(gone, [f.key("l/a"), f.key("l/b")]);
    assert_eq!(f.names("l/").await, ["l/c", "l/kept"]);
    assert!(matches!(f.store.keep_alive(lease).await, Err(StoreError::LeaseExpired)));
    assert!(matches!(f.commit(Vec::new(), vec![leased("l/a")]).await, Err(StoreError::LeaseExpired)));
    f.store.revoke(lease).await.expect("fine if it has ended");
}

async fn a_lease_kept_alive_does_not_end(f: Fixture) {
    let ttl = Duration::from_secs(2);
    let lease = f.store.grant(ttl).await.expect("granted");
    f.write(vec![Write::Put { key: f.key("a"), value: Vec::new(), lease: Some(lease) }]).await;
    for _ in 0..8 {
        tokio::time::sleep(ttl / 4).await;
        f.store.keep_alive(lease).await.expect("kept alive");
    }
    assert_eq!(f.names("a").await, ["a"]);
    f.store.revoke(lease).await.expect("revoked");
}

async fn a_revoked_lease_ends_now(f: Fixture) {
    let lease = f.store.grant(Duration::from_secs(60)).await.expect("granted");
    let revision = f.write(vec![Write::Put { key: f.key("a"), value: Vec::new(), lease: Some(lease) }]).await;
    let mut events = f.store.watch(&f.root, revision + 1).await.expect("watched");
    f.store.revoke(lease).await.expect("revoked");
    assert_eq!(f.value("a").await, None);
    assert!(matches!(next(&mut events).await, Event::Delete { .. }));
}

async fn limits_hold(f: Fixture) {
    let value = |bytes: usize| Write::Put { key: f.key("large"), value: vec![b'x'; bytes], lease: None };
    f.commit(Vec::new(), vec![value(MAX_VALUE)]).await.expect("just small enough");
    assert_eq!(f.store.get(&f.key("large")).await.expect("read").expect("there").value.len(), MAX_VALUE);
    let refused = f.commit(Vec::new(), vec![value(MAX_VALUE + 1)]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))), "{refused:?}");
    let half = |name: &str| Write::Put { key: f.key(name), value: vec![b'x'; MAX_COMMIT / 2], lease: None };
    let refused = f.commit(Vec::new(), vec![half("one"), half("two")]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))), "{refused:?}");
    let many = |n: usize| (0..n).map(|n| f.put(&format!("n{n}"), "")).collect::<Vec<_>>();
    f.commit(Vec::new(), many(MAX_OPERATIONS)).await.expect("just few enough");
    let guards = vec![Guard::Absent { key: f.key("free") }];
    let refused = f.commit(guards, many(MAX_OPERATIONS)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))), "{refused:?}");
    let twice = f.commit(Vec::new(), vec![f.put("t", "1"), f.put("t", "2")]).await;
    assert!(matches!(twice, Err(StoreError::Internal(_))), "{twice:?}");
    let both = f.commit(Vec::new(), vec![f.put("p/t", "1"), Write::DeletePrefix { prefix: f.key("p/") }]).await;
    assert!(matches!(both, Err(StoreError::Internal(_))), "{both:?}");
}

async fn concurrent_commits_are_serial(f: Fixture) {
    f.write(vec![f.put("n", "0")]).await;
    let mut adders = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, key) = (Arc::clone(&f.store), f.key("n"));
        adders.spawn(async move {
            let mut added = 0;
            while added < 10 {
                let entry = store.get(&key).await.expect("read").expect("there");
                let n: u32 = String::from_utf8_lossy(&entry.value).parse().expect("a number");
                let guards = vec![Guard::Revision { key: key.clone(), revision: entry.revision }];
                let value = (n + 1).to_string().into_bytes();
                let writes = vec![Write::Put { key: key.clone(), value, lease: None }];
                match store.commit(Commit { guards, writes }).await {
                    Ok(_) => added += 1,
                    Err(StoreError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    adders.join_all().await;
    assert_eq!(f.value("n").await.as_deref(), Some("40"));
}

#[tokio::test]
async fn memory() {
    suite(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = embedded::EmbeddedStore::open(&folder.path().join("store")).expect("opened");
    suite(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd() {
    let (endpoints, private) = match std::env::var("ETCD_ENDPOINTS") {
        Ok(endpoints) => (endpoints.split(',').map(str::to_owned).collect(), None),
        Err(_) => {
            let private = private_etcd::PrivateEtcd::start();
            (vec![private.endpoint()], Some(private))
        }
    };
    let store = private_etcd::connect(endpoints).await;
    suite(Arc::new(store)).await;
    drop(private);
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_watch_survives_a_restart_and_says_what_it_missed() {
    let mut private = private_etcd::PrivateEtcd::start();
    let f = Fixture::new(Arc::new(private_etcd::connect(vec![private.endpoint()]).await));
    let revision = f.write(vec![f.put("a", "1")]).await;
    let mut events = f.store.watch(&f.root, revision + 1).await.expect("watched");
    private.stop();
    let absent = f.store.get(&f.key("a")).await;
    assert!(matches!(absent, Err(StoreError::Unavailable(_))), "{absent:?}");
    let absent = f.commit(Vec::new(), vec![f.put("a", "x")]).await;
    assert!(matches!(absent, Err(StoreError::Unavailable(_))), "{absent:?}");
    private.restart();
    let other = private_etcd::connect(vec![private.endpoint()]).await;
    assert_eq!(f.value("a").await.as_deref(), Some("1"));
    let writes = vec![f.put("a", "2")];
    other.commit(Commit { guards: Vec::new(), writes }).await.expect("committed");
    let Event::Put(entry) = next(&mut events).await else { panic!("nothing was missed") };
    assert_eq!(entry.value, b"2");

    // Compacted behind a new watch's back.
    let newest = f.write(vec![f.put("a", "3")]).await;
    private.compact(newest).await;
    let mut events = f.store.watch(&f.root, revision).await.expect("watched");
    assert_eq!(next(&mut events).await, Event::Reset);
    f.write(vec![f.put("a", "4")]).await;
    loop {
        let Event::Put(entry) = next(&mut events).await else { panic!("a put was next") };
        if entry.value == b"4" {
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_far_behind_is_reset() {
    let f = Fixture::new(Arc::new(MemoryStore::new()));
    let first = f.write(vec![f.put("a", "0")]).await;
    let mut behind = f.store.watch(&f.root, first).await.expect("watched");
    for n in 0..10_001 {
        f.write(vec![f.put("a", &n.to_string())]).await;
    }
    assert_eq!(next(&mut behind).await, Event::Reset);
    f.write(vec![f.put("a", "new")]).await;
    assert!(matches!(next(&mut behind).await, Event::Put(entry) if entry.value == b"new"));
}
