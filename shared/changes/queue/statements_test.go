package queue_test

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// statements counts what a transaction is asked.
type statements struct {
	pgx.Tx
	n int
}

func (s *statements) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	s.n++
	return s.Tx.Exec(ctx, sql, args...)
}

func (s *statements) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	s.n++
	return s.Tx.Query(ctx, sql, args...)
}

func (s *statements) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	s.n++
	return s.Tx.QueryRow(ctx, sql, args...)
}
