package decisions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Store is the ledger of the transaction's tenant.
type Store struct{ tx pgx.Tx }

// NewStore returns the ledger in tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Put writes a decision. It is never changed afterwards.
func (s Store) Put(ctx context.Context, d Decision) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.decisions (tenant_id, decision_id, created_at, account_id, currency, requested_by, model_version,
		                          architecture, seed, num_ads, total_minor, unallocated_minor, expected_return_minor, expected_gain_minor,
		                          inputs, posterior, answer)
		VALUES (gv.tenant(), @id, @at, @account, @currency, @by, @model,
		        @architecture, @seed, @ads, @total, @unallocated, @return, @gain, @inputs, @posterior, @answer)`,
		pgx.StrictNamedArgs{
			"id": d.DecisionID, "at": d.CreatedAt, "account": d.AccountID, "currency": d.Currency, "by": d.RequestedBy,
			"model": d.ModelVersion, "architecture": d.Architecture, "seed": d.Seed, "ads": d.NumAds,
			"total": d.Total, "unallocated": d.Unallocated, "return": d.ExpectedReturn, "gain": d.ExpectedGain,
			"inputs": []byte(d.Inputs), "posterior": []byte(d.Posterior), "answer": []byte(d.Answer),
		})
	if err != nil {
		return fmt.Errorf("record decision %s: %w", d.DecisionID, err)
	}
	return nil
}

// Get returns a decision, or a NotFound fault.
func (s Store) Get(ctx context.Context, id uuid.UUID) (Decision, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT decision_id, created_at, account_id, currency, requested_by, model_version, architecture, seed, num_ads,
		       total_minor AS total, unallocated_minor AS unallocated, expected_return_minor AS expected_return,
		       expected_gain_minor AS expected_gain, inputs, posterior, answer
		FROM   gv.decisions
		WHERE  tenant_id = gv.tenant() AND decision_id = @id AND created_at = @at`,
		pgx.StrictNamedArgs{"id": id, "at": timeOf(id)})
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Decision])
	if errors.Is(err, pgx.ErrNoRows) {
		return d, fault.NotFoundf("there is no decision with this id")
	}
	if err != nil {
		return d, fmt.Errorf("read decision %s: %w", id, err)
	}
	d.CreatedAt = d.CreatedAt.UTC()
	return d, nil
}

// List returns up to n decisions, newest first: those of one account where
// account is not "", and those older than before where that is not nil.
func (s Store) List(ctx context.Context, account string, before uuid.UUID, n int) ([]Summary, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   decision_id, created_at, account_id, currency, requested_by, model_version, architecture, seed, num_ads,
		         total_minor AS total, unallocated_minor AS unallocated, expected_return_minor AS expected_return,
		         expected_gain_minor AS expected_gain
		FROM     gv.decisions
		WHERE    tenant_id = gv.tenant() AND (@account = '' OR account_id = @account)
		AND      (@first OR (created_at, decision_id) < (@at, @before))
		ORDER BY created_at DESC, decision_id DESC
		LIMIT    @n`,
		pgx.StrictNamedArgs{"account": account, "first": before == uuid.Nil, "at": timeOf(before), "before": before, "n": n})
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Summary])
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	for i := range list {
		list[i].CreatedAt = list[i].CreatedAt.UTC()
	}
	return list, nil
}
