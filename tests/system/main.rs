//! The system from outside: the built binary against real Kafka, a real registry and real PostgreSQL, judged by SQL and by
//! Kafka's own tools.
//!
//! `make test` starts the services and runs these; `make faults` runs the long ones, which are ignored otherwise;
//! `make tpch` runs the whole of TPC-H, `make system` the reference system with 20,000 orders.

// `cfg(test)` is always on here; it tells clippy that helpers may panic as tests may.
#[cfg(test)]
mod support;

#[cfg(test)]
mod plain;

#[cfg(test)]
mod commands;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod full;
#[cfg(test)]
mod grow;
#[cfg(test)]
mod halt;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod line;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod quickstart;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod services;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod start;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod tpch;
#[cfg(test)]
mod upsert;
