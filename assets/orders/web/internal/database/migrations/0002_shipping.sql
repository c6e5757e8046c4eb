alter table orders add column shipped_at timestamptz;

-- The list of open orders stays small while the book grows.
create index orders_open on orders (id desc) where shipped_at is null;
