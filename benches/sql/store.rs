//! A schema of an arm's own, and what must stand in it at the end.

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::orders::PARTITIONS;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) url: String,
    schema: String,
}

impl Store {
    pub(crate) fn version(postgres: &str) -> String {
        block_on(async {
            let row = connect(postgres).await.query_one("SHOW server_version", &[]).await.unwrap();
            format!("PostgreSQL {}", row.get::<_, String>(0))
        })
    }

    pub(crate) fn new(postgres: &str) -> Self {
        let schema = format!("bench{}", Uuid::new_v4().simple());
        let url = format!("{postgres}?options=-c%20search_path%3D{schema}");
        let sql = format!(
            "CREATE SCHEMA {schema};
             CREATE TABLE {schema}.orders (order_id uuid NOT NULL, product_name text NOT NULL, \
                quantity int NOT NULL, created_at timestamptz NOT NULL);
             CREATE TABLE {schema}.progress (partition int PRIMARY KEY, next bigint NOT NULL);
             INSERT INTO {schema}.progress SELECT n, 0 FROM generate_series(0, {}) n;
             CHECKPOINT",
            PARTITIONS - 1
        );
        block_on(async { connect(postgres).await.batch_execute(&sql).await.unwrap() });
        Self { url, schema }
    }

    /// Nothing lost, nothing twice, and progress at the end of the log, or there is no score.
    pub(crate) fn check(&self, arm: &str, records: u64, progress: Option<&str>) {
        let records = i64::try_from(records).unwrap();
        let quantities: i64 = (0..records).map(|n| n % 1_000).sum();
        block_on(async {
            let client = connect(&self.url).await;
            const COUNT: &str =
                "SELECT count(*), sum(quantity)::int8, count(DISTINCT order_id) FROM orders";
            let row = client.query_one(COUNT, &[]).await.unwrap();
            let found: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
            assert_eq!(found, [records, quantities, records], "{arm}: rows, sum, ids");
            if let Some(table) = progress {
                let sql = format!("SELECT sum(next)::int8 FROM {table}");
                let next: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
                assert_eq!(next, records, "{arm}: progress");
            }
        });
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let sql = format!("DROP SCHEMA {} CASCADE", self.schema);
        block_on(async { connect(&self.url).await.batch_execute(&sql).await.unwrap() });
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}
