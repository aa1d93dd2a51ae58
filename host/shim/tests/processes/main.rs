//! Tests with real processes: the shim as it is built, and the runner of `agents` on top of it.

#[cfg(test)]
mod claude_code;
#[cfg(test)]
mod codex;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod held;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod keyed;
#[cfg(test)]
mod known;
#[cfg(test)]
mod launches;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod named;
#[cfg(test)]
mod network;
#[cfg(test)]
mod port;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod watching;
