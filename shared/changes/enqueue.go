package changes

import (
	"context"
	"errors"
)

// Enqueue queues what intents want of tenant's ads, in a constant number of
// statements, and says for each what became of it.
func (s Store) Enqueue(ctx context.Context, tenant string, intents []Intent) ([]Enqueued, error) {
	return nil, errors.New("not yet")
}
