package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/metaconn"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
)

// explanation is what a person reads of a failure, and what follows from it.
type explanation struct {
	text string
	wait time.Duration // until the account may be tried again; 0: at the next run
	act  bool          // somebody has to do something
}

// mend is how long an account waits that only a person can mend. Connecting it
// again ends the wait.
const mend = 6 * time.Hour

// refused is an account that is not what it was when it was connected.
type refused struct{ text string }

func (r *refused) Error() string { return r.text }

// explain says what an error means. Its text holds no secret, and nothing that
// Meta said word for word.
func explain(err error) explanation {
	var (
		changed *refused
		token   *secrets.Error
		e       *meta.Error
		f       *fault.Error
	)
	if wait, ok := meta.Throttled(err); ok {
		return explanation{text: fmt.Sprintf("Meta wants to be called less; the account is left alone for %s.", wait.Round(time.Second)), wait: wait}
	}
	switch {
	case errors.As(err, &changed):
		return explanation{changed.text, mend, true}
	case meta.Unauthorized(err):
		return explanation{"Meta does not accept the account's token: it has expired or was revoked. Connect the account again.", mend, true}
	case meta.Forbidden(err):
		return explanation{"The account's token lacks the permission ads_read. Connect the account again with ads_read and ads_management.", mend, true}
	case meta.Gone(err):
		return explanation{"Meta does not show the ad account to this token: it was closed, or the token's owner lost access. Connect the account again.", mend, true}
	case errors.As(err, &token):
		return explanation{text: "The account's token could not be read from Secret Manager; it is tried again at the next run.", act: true}
	case errors.As(err, &f) && f.Kind == fault.Unavailable:
		return explanation{text: f.Message + "; it is tried again at the next run."}
	case errors.As(err, &e):
		return explanation{text: fmt.Sprintf("Meta refused a call with code %d/%d; it is tried again at the next run.", e.Code, e.Subcode), act: true}
	case f != nil:
		return explanation{text: f.Message + "; it is tried again at the next run.", act: true}
	}
	return explanation{text: "Something unexpected happened; it is in the log, and tried again at the next run.", act: true}
}

// conclude puts down how an account's sync ended. A tenant gets one notice
// of a failure, not one every hour.
func (f *function) conclude(ctx context.Context, c connection, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if errors.Is(err, errUnfinished) {
		return nil // how far the account is read is stored day by day
	}
	return pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
		if err == nil {
			return metaconn.Succeeded(ctx, tx, c.AccountID)
		}
		what := explain(err)
		anew, dbErr := metaconn.Failed(ctx, tx, c.Connection, what.text, what.wait)
		if dbErr != nil || !anew || !what.act {
			return dbErr
		}
		return notice.Put(ctx, tx, c.TenantID, notice.Notice{
			Kind: notice.SyncFailed, AccountID: c.AccountID, Text: "Ad account " + c.AccountID + ": " + what.text, At: f.opts.Now(),
		})
	})
}
