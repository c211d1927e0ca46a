-- The tables that the pipelines write to, in the database `orders`.
CREATE TABLE order_log (
    order_id uuid NOT NULL,
    product text NOT NULL,
    quantity int NOT NULL,
    created_at timestamptz NOT NULL,
    place text PRIMARY KEY
);
CREATE TABLE large_orders (
    order_id uuid PRIMARY KEY,
    product_name text NOT NULL,
    quantity int NOT NULL,
    pallets bigint NOT NULL,
    size text NOT NULL
);
CREATE TABLE stock (sku text PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0));
INSERT INTO stock (sku, available)
SELECT sku, 200 FROM unnest(ARRAY['lamp', 'chair', 'table', 'shelf', 'desk', 'sofa']) AS sku;
