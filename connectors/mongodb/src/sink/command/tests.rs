use mongodb::bson::{Document, doc};

use super::*;

fn operation(entry: std::ops::Range<usize>) -> Operation {
    Operation {
        record: 0,
        namespace: 0,
        verb: Verb::Update,
        whole: true,
        per_record: false,
        identity: 0..0,
        identified: true,
        version: None,
        entry,
    }
}

#[test]
fn commands_are_cut_by_number_and_size() {
    let third = COMMAND_BYTES / 3;
    let all: Vec<Operation> = (0..7).map(|_| operation(0..third)).collect();
    let all: Vec<&Operation> = all.iter().collect();
    assert_eq!(chunk_end(&all, 0, 100), 2, "three do not fit with their array's names");
    assert_eq!(chunk_end(&all, 0, 1), 1);
    assert_eq!(chunk_end(&all, 6, 100), 7);
    let large = operation(0..2 * COMMAND_BYTES);
    assert_eq!(chunk_end(&[&large, &large], 0, 100), 1, "one always goes");
}

#[test]
fn a_command_is_a_document_of_its_operations() {
    let mut writer = Writer::default();
    let mut operations = Vec::new();
    for n in 0..11 {
        let start = writer.len();
        let open = writer.begin();
        let at = writer.known("n");
        writer.value(at, &millrace_sdk::Value::Int(n), None).unwrap();
        writer.end(open);
        operations.push(operation(start..writer.len()));
    }
    let operations: Vec<&Operation> = operations.iter().collect();
    let concern = WriteConcern::majority();
    let concern = concern_element(&concern).unwrap();
    let command = build(&Namespace::new("d", "c"), &writer, &operations, (false, &concern)).unwrap();
    let expected: Vec<Document> = (0..11_i64).map(|n| doc! { "n": n }).collect();
    assert_eq!(
        Document::try_from(command.as_ref()).unwrap(),
        doc! { "update": "c", "ordered": false, "writeConcern": { "w": "majority" }, "updates": expected }
    );
}
