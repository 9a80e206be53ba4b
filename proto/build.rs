//! Compiles the protocol definitions.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = [
        "millrace/v1/connectors.proto",
        "millrace/v1/plugins.proto",
        "millrace/v1/workers.proto",
        "millrace/internal/v1/worker.proto",
    ];
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("millrace.bin"))
        .compile_protos(&protos, &["."])?;
    Ok(())
}
