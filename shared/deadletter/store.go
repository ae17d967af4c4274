package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
)

// Letter is a message that could not be handled.
type Letter struct {
	ID         string `db:"dead_letter_id"`
	Topic      string
	MessageID  string
	Data       []byte
	Attributes map[string]string
	Reason     string
	Attempts   int
	ReceivedAt time.Time
	ReplayedAt *time.Time
	ReplayedBy *string
}

// Message returns the letter as it was sent: under its first key, so that it is
// known again should it have taken effect after all, and should it fail again.
func (l Letter) Message() message.Message {
	attributes := map[string]string{message.KeyAttribute: l.MessageID}
	for key, value := range l.Attributes {
		attributes[key] = value
	}
	return message.Message{Topic: l.Topic, Data: l.Data, Attributes: attributes}
}

// Store is a tenant's dead letters on a transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the dead letters of tx's tenant.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Filter is which letters to list.
type Filter struct {
	Open  bool   // only those that wait for a replay
	Topic string // only of this topic, where it is not empty
	// Letters after this one, in the order of a list; zero: from the newest.
	AfterTime time.Time
	AfterID   string
	Limit     int
}

const columns = `dead_letter_id, topic, message_id, data, attributes, reason, attempts, received_at, replayed_at, replayed_by`

// List returns letters, newest first.
func (s Store) List(ctx context.Context, f Filter) ([]Letter, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+columns+` FROM gv.dead_letters
		WHERE  tenant_id = gv.tenant() AND (replayed_at IS NULL OR NOT @open) AND (topic = @topic OR @topic = '')
		AND    (@after_id = '' OR (received_at, dead_letter_id) < (@after_time::timestamptz, nullif(@after_id, '')::uuid))
		ORDER  BY received_at DESC, dead_letter_id DESC
		LIMIT  @limit`,
		pgx.StrictNamedArgs{"open": f.Open, "topic": f.Topic, "after_id": f.AfterID, "after_time": f.AfterTime, "limit": f.Limit})
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByName[Letter])
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

// Choice is which open letters are replayed together; an empty field chooses all.
type Choice struct {
	Topic  string
	Reason string // part of the reason
	After  *time.Time
	Before *time.Time
	Limit  int
}

const chosen = `tenant_id = gv.tenant() AND replayed_at IS NULL AND (topic = @topic OR @topic = '')
	AND    (@reason = '' OR strpos(lower(reason), lower(@reason)) > 0)
	AND    (@after::timestamptz IS NULL OR received_at >= @after) AND (@before::timestamptz IS NULL OR received_at < @before)`

func (c Choice) args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"topic": c.Topic, "reason": c.Reason, "after": c.After, "before": c.Before}
}

// Count returns how many open letters the choice matches.
func (s Store) Count(ctx context.Context, c Choice) (n int, err error) {
	if err := s.tx.QueryRow(ctx, `SELECT count(*)::int FROM gv.dead_letters WHERE `+chosen, c.args()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// ReplayAll marks up to Limit open letters of the choice as replayed by who, the
// oldest first, and returns them. Each is returned once, of two calls at the same
// time by one of them.
func (s Store) ReplayAll(ctx context.Context, c Choice, who string) ([]Letter, error) {
	args := c.args()
	args["who"], args["limit"] = who, c.Limit
	rows, _ := s.tx.Query(ctx, `
		UPDATE gv.dead_letters SET replayed_at = now(), replayed_by = @who
		WHERE  dead_letter_id IN (
			SELECT dead_letter_id FROM gv.dead_letters WHERE `+chosen+`
			ORDER  BY received_at, dead_letter_id LIMIT @limit FOR UPDATE SKIP LOCKED)
		RETURNING `+columns, args)
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByName[Letter])
	if err != nil {
		return nil, fmt.Errorf("mark dead letters: %w", err)
	}
	return letters, nil
}

// Replay marks a letter as replayed by who, and returns it. Of two at once the
// second finds the first's mark; it is a Conflict until the message fails again.
func (s Store) Replay(ctx context.Context, id, who string) (Letter, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+columns+` FROM gv.dead_letters WHERE tenant_id = gv.tenant() AND dead_letter_id = $1 FOR UPDATE`, id)
	letter, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Letter])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Letter{}, fault.NotFoundf("there is no dead letter with this id")
	case err != nil:
		return Letter{}, fmt.Errorf("read dead letter %s: %w", id, err)
	case letter.ReplayedAt != nil:
		return Letter{}, fault.Conflictf("it was replayed at %s by %s and has not failed again since",
			letter.ReplayedAt.UTC().Format(time.RFC3339), *letter.ReplayedBy)
	}
	rows, _ = s.tx.Query(ctx, `
		UPDATE gv.dead_letters SET replayed_at = now(), replayed_by = @who
		WHERE  tenant_id = gv.tenant() AND dead_letter_id = @id
		RETURNING `+columns, pgx.StrictNamedArgs{"id": id, "who": who})
	letter, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Letter])
	if err != nil {
		return Letter{}, fmt.Errorf("mark dead letter %s: %w", id, err)
	}
	return letter, nil
}
