package changes

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// Store is the queue in a transaction.
type Store struct {
	tx   pgx.Tx
	warp func(time.Time) time.Time
}

// NewStore returns the queue in tx. Its clock is the database's, which all
// instances share, so that a machine whose own clock is wrong breaks no limit.
func NewStore(tx pgx.Tx) Store { return Store{tx: tx} }

// Warped returns the store with a clock that tests make run faster: warp turns
// the database's time into the rules'.
func (s Store) Warped(warp func(time.Time) time.Time) Store {
	s.warp = warp
	return s
}
