create table orders (
    id         bigint generated always as identity primary key,
    customer   text not null check (char_length(customer) between 1 and 120),
    item       text not null check (char_length(item) between 1 and 200),
    quantity   integer not null check (quantity between 1 and 1000000),
    note       text not null default '' check (char_length(note) <= 1000),
    created_at timestamptz not null default now()
);
