package changes

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

type queueInput struct {
	Body struct {
		AdID   string   `json:"ad_id" minLength:"1" maxLength:"256"`
		Target *float64 `json:"target_budget,omitempty" minimum:"0" doc:"The ad's new daily budget, in units of the account's currency; 0 pauses the ad. Either this or status."`
		Status string   `json:"status,omitempty" enum:"ACTIVE,PAUSED" doc:"ACTIVE runs the ad, PAUSED stops it. Either this or target_budget."`
		Reason string   `json:"reason,omitempty" maxLength:"1000" doc:"The reason that the history shows."`
	}
}

// Resolve checks what the types cannot say.
func (in *queueInput) Resolve(huma.Context) []error {
	if (in.Body.Target != nil) != (in.Body.Status != "") {
		return nil
	}
	return []error{&huma.ErrorDetail{Location: "body.target_budget", Message: "give either target_budget or status, and not both"}}
}

// queued is the answer to a request.
type queued struct {
	Status string  `json:"status" doc:"The change's status, or unchanged where the ad has that already."`
	Reason string  `json:"reason,omitempty" doc:"Why it is held, or why nothing was queued."`
	Change *Change `json:"change,omitempty"`
}

type queueOutput struct{ Body queued }

func (f *function) queueOne(ctx context.Context, in *queueInput) (*queueOutput, error) {
	id := auth.From(ctx)
	body, err := write(ctx, f, func(tx pgx.Tx) (made queued, err error) {
		intent := changes.Intent{
			Key: "member/" + uuid.NewString(), AdID: in.Body.AdID, Status: in.Body.Status, Reason: in.Body.Reason, Source: changes.Member,
			By: id.Who(),
		}
		if intent.Reason == "" {
			intent.Reason = "a member asked for it"
		}
		currency, err := currencyOf(ctx, tx, in.Body.AdID)
		if err != nil {
			return made, err
		}
		if in.Body.Target != nil {
			minor, err := minorOf(*in.Body.Target, currency)
			if err != nil {
				return made, err
			}
			intent.Target = &minor
		}
		store := queue.NewStore(tx)
		done, err := store.Enqueue(ctx, id.Tenant, []changes.Intent{intent})
		if err != nil {
			return made, err
		}
		if done[0].Status == changes.StatusRefused {
			return made, fault.Conflictf("%s", done[0].Reason)
		}
		made = queued{Status: string(done[0].Status), Reason: done[0].Reason}
		if done[0].ChangeID != "" {
			seen, err := one(ctx, store, id.Tenant, done[0].ChangeID)
			if err != nil {
				return made, err
			}
			made.Change = &seen
			serve.Note(ctx, "change", seen.ID)
		}
		return made, nil
	})
	if err != nil {
		return nil, err
	}
	return &queueOutput{body}, nil
}

// currencyOf returns the currency of an ad's account, or a NotFound.
func currencyOf(ctx context.Context, tx pgx.Tx, ad string) (c money.Currency, err error) {
	err = tx.QueryRow(ctx, `
		SELECT a.currency FROM gv.ads b JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  b.tenant_id = gv.tenant() AND b.ad_id = @ad`, pgx.StrictNamedArgs{"ad": ad}).Scan(&c)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fault.NotFoundf("there is no such ad among yours")
	}
	if err != nil {
		return "", fmt.Errorf("look up ad %s: %w", ad, err)
	}
	return c, nil
}

// minorOf converts units to minor units. It refuses amounts that the currency, or
// Meta, cannot express: no amount is rounded.
func minorOf(units float64, c money.Currency) (int64, error) {
	minor, err := money.FromUnits(units, c)
	if err != nil {
		return 0, fault.Field("body.target_budget", "is more than an account can hold")
	}
	if exact := minor.Units(c); math.Abs(exact-units) > 1e-9*math.Max(1, units) {
		rule := fmt.Sprintf("must have at most %d decimals, as %s has", c.Decimals(), c)
		if c.Decimals() == 0 {
			rule = fmt.Sprintf("must be a whole number: %s has no decimals", c)
		}
		return 0, fault.Field("body.target_budget", rule)
	}
	if step := meta.Step(c); int64(minor)%step != 0 {
		return 0, fault.Field("body.target_budget", fmt.Sprintf("must be a whole number: Meta has no smaller budgets in %s", c))
	}
	return int64(minor), nil
}

type approveInput struct {
	ID   string `path:"id" format:"uuid"`
	Body struct {
		Digest string `json:"digest" pattern:"^[0-9a-fA-F]{64}$" patternDescription:"the digest that the list shows" doc:"The digest of the plan that you approve."`
	}
}

type changeOutput struct{ Body Change }

func (f *function) approve(ctx context.Context, in *approveInput) (*changeOutput, error) {
	digest, err := hex.DecodeString(in.Body.Digest)
	if err != nil {
		return nil, fault.Field("body.digest", "must be 64 hexadecimal digits")
	}
	return f.review(ctx, in.ID, "approved", "none", func(s queue.Store, id auth.Identity) (*changes.Change, error) {
		return s.Approve(ctx, id.Tenant, strings.ToLower(in.ID), id.Who(), digest)
	})
}

type reviewInput struct {
	ID   string `path:"id" format:"uuid"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"The reason that the history shows."`
	}
}

func (in *reviewInput) reason() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Reason
}

func (f *function) reject(ctx context.Context, in *reviewInput) (*changeOutput, error) {
	return f.review(ctx, in.ID, "rejected", "member", func(s queue.Store, id auth.Identity) (*changes.Change, error) {
		return s.Reject(ctx, id.Tenant, strings.ToLower(in.ID), id.Who(), in.reason())
	})
}

type undoInput struct {
	ID   string `path:"id" format:"uuid"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"The reason that the history shows."`
		Force  bool   `json:"force,omitempty" doc:"Undo it although somebody else edited the object since. Without it such an undo is held, with both numbers."`
	}
}

func (f *function) undo(ctx context.Context, in *undoInput) (*changeOutput, error) {
	reason, force := "", false
	if in.Body != nil {
		reason, force = in.Body.Reason, in.Body.Force
	}
	return f.review(ctx, in.ID, "undone", "none", func(s queue.Store, id auth.Identity) (*changes.Change, error) {
		return s.Undo(ctx, id.Tenant, strings.ToLower(in.ID), id.Who(), reason, force)
	})
}

// review works on one change and answers with it, or with its undo. The outcome is
// counted unless the request is a repeated one.
func (f *function) review(ctx context.Context, id, outcome, whyNot string,
	do func(queue.Store, auth.Identity) (*changes.Change, error),
) (*changeOutput, error) {
	serve.Note(ctx, "change", id)
	changed := false
	body, err := write(ctx, f, func(tx pgx.Tx) (seen Change, err error) {
		changed = false // fn runs again after a deadlock
		store := queue.NewStore(tx).Reviewed(func() { changed = true })
		c, err := do(store, auth.From(ctx))
		if err != nil {
			return seen, err
		}
		return one(ctx, store, c.TenantID, c.ChangeID)
	})
	if err != nil {
		return nil, err
	}
	if changed {
		telemetry.Changes.Add(ctx, 1, outcome, whyNot)
	}
	return &changeOutput{body}, nil
}

// one is a change as it is shown.
func one(ctx context.Context, s queue.Store, tenant, id string) (Change, error) {
	found, err := s.List(ctx, tenant, queue.Filter{ChangeID: id, Limit: 1})
	if err != nil {
		return Change{}, err
	}
	if len(found) == 0 {
		return Change{}, fmt.Errorf("change %s: written and not found", id)
	}
	return shown(found[0]), nil
}

// write runs fn once for each Idempotency-Key, and sends what it wrote to the outbox.
func write[O any](ctx context.Context, f *function, fn func(tx pgx.Tx) (O, error)) (O, error) {
	tenant := auth.From(ctx).Tenant
	answer, err := idempotency.Run(ctx, f.db, tenant, fn)
	if err == nil {
		outbox.Flush(ctx, f.db, tenant, f.queue)
	}
	return answer, err
}
