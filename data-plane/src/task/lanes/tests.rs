use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn batches_are_split_by_key_when_it_is_worth_it() {
    let hashes: Vec<u64> = (0..2000).map(|i| i % 97).collect();
    let keys = OrderKeys::PerRecord(hashes.clone());
    let plans = plan(&keys, 2000, 4, Load::Idle(4));
    assert_eq!(plans.len(), 4);
    let mut lane_of: HashMap<u64, usize> = HashMap::new();
    for (lane, chunk) in plans.iter().enumerate() {
        assert!(chunk.records.is_sorted());
        for index in &chunk.records {
            assert_eq!(*lane_of.entry(hashes[*index]).or_insert(lane), lane, "a key is in two chunks");
        }
    }
    assert_eq!(plans.iter().map(|chunk| chunk.records.len()).sum::<usize>(), 2000);
    assert_eq!(plan(&OrderKeys::PerRecord(vec![1; 10]), 10, 4, Load::Idle(4)).len(), 1, "too small to split");
    assert_eq!(plan(&OrderKeys::PerRecord((0..600).collect()), 600, 4, Load::Full).len(), 1, "lanes are busy");
    assert_eq!(plan(&OrderKeys::Any, 600, 4, Load::Idle(4)).len(), 4);
    assert_eq!(plan(&OrderKeys::Any, 600, 4, Load::Idle(2)).len(), 2, "as many as can start");
    assert_eq!(plan(&OrderKeys::Any, 6000, 4, Load::Full).len(), 1, "the other lanes take the batches after it");
    assert_eq!(plan(&OrderKeys::Total, 2000, 4, Load::Idle(4)).len(), 1);
    assert_eq!(plan(&OrderKeys::PerRecord(vec![1]), 2000, 4, Load::Idle(4))[0].order, Order::Total, "miscounted");
}

#[test]
fn what_must_wait_anyway_is_kept_apart() {
    let keys: Vec<u64> = (0..100).map(|i| i % 10).collect();
    let occupied = plan(&OrderKeys::PerRecord(vec![3]), 1, 4, Load::Idle(4));
    let Order::Keys(buckets) = occupied[0].order else { panic!("keys") };
    let plans = plan(&OrderKeys::PerRecord(keys.clone()), 100, 4, Load::Some(buckets));
    assert_eq!(plans.len(), 2);
    assert!(plans[0].records.iter().all(|index| keys[*index] != 3));
    assert!(plans[1].records.iter().any(|index| keys[*index] == 3));
    assert_eq!(plans[0].records.len() + plans[1].records.len(), 100);
    assert_eq!(plan(&OrderKeys::PerRecord(keys), 100, 4, Load::Full).len(), 1);
}

#[test]
fn orders_that_do_not_compare_wait_for_their_partition() {
    let mut lanes = Lanes::new(4);
    let total = lanes.offer(1, Order::Total);
    let keys = lanes.offer(1, Order::Keys([1, 0, 0, 0]));
    let other = lanes.offer(2, Order::Total);
    assert_eq!(lanes.next(), Some(total));
    assert_eq!(lanes.next(), Some(other));
    assert_eq!(lanes.next(), None);
    assert_eq!(lanes.load(), Load::Some([1, 0, 0, 0]));
    lanes.finish(total);
    assert_eq!(lanes.next(), Some(keys));
    let any = lanes.offer(3, Order::Any);
    let any_too = lanes.offer(3, Order::Any);
    assert_eq!((lanes.next(), lanes.next()), (Some(any), Some(any_too)));
    let last = lanes.offer(3, Order::Total);
    assert_eq!(lanes.withdraw(3), [last]);
}

/// What a chunk is about, small enough to collide.
fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        (0_u32..6).prop_map(|bit| Order::Keys([1 << bit, 0, 0, 0])),
        (0_u32..6, 0_u32..6).prop_map(|(a, b)| Order::Keys([1 << a | 1 << b, 0, 0, 0])),
        Just(Order::Any),
        Just(Order::Total),
    ]
}

proptest! {
    /// However chunks end, no chunk ever starts beside or before an older one it conflicts with, the limit holds, and all
    /// get their turn.
    #[test]
    fn no_chunk_overtakes_one_it_conflicts_with(
        offers in prop::collection::vec((0_u64..3, order()), 1..40),
        limit in 1_usize..5,
        luck in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut lanes = Lanes::new(limit);
        let mut luck = luck.into_iter();
        let entries: HashMap<u64, (u64, Order)> =
            offers.iter().map(|(partition, order)| (lanes.offer(*partition, *order), (*partition, *order))).collect();
        let entry = |ticket: u64| Entry { ticket, partition: entries[&ticket].0, order: entries[&ticket].1 };
        let (mut running, mut done): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        while done.len() < offers.len() {
            while let Some(ticket) = lanes.next() {
                for older in entries.keys().filter(|older| **older < ticket && !done.contains(older)) {
                    prop_assert!(!entry(*older).conflicts(&entry(ticket)), "{ticket} overtakes {older}");
                }
                running.push(ticket);
                prop_assert!(running.len() <= limit);
            }
            prop_assert!(!running.is_empty(), "stuck");
            let index = luck.next().map_or(0, |luck| luck.index(running.len()));
            let ticket = running.swap_remove(index);
            lanes.finish(ticket);
            done.push(ticket);
        }
    }
}
