package gemini

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// usage counts what tenants use, in Postgres, where all instances see it.
type usage struct{ db *pg.DB }

// reservation is what a call may cost at most, reserved against the tenant's caps
// while it is made. It is never given back unused: after a crash it stays
// counted, for the call may have been paid for.
type reservation struct {
	tenant, model, purpose string
	day                    time.Time
	tokens, micros         int64
}

// spent is what came of a call.
type spent struct {
	input, output, micros int64
	failed                bool
}

// reserve holds what a call may cost, or returns *Capped. It is one statement, so
// twins cannot overshoot together. An account's settings may lower the cap of
// its tenant (gemini_daily_cap_usd); at 0 nothing is asked, not even a model whose
// price is not known.
func (u usage) reserve(ctx context.Context, r reservation, capMicros, capTokens int64) (reservation, error) {
	var left struct {
		until        time.Time
		used, tokens int64
	}
	err := pg.InTenant(ctx, u.db, r.tenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO gv.gemini_days AS d (tenant_id, day, reserved_tokens, reserved_micros)
			SELECT gv.tenant(), (now() AT TIME ZONE 'UTC')::date, @tokens, @micros
			WHERE  @tokens::bigint <= @cap_tokens AND @micros::bigint <= least(@cap_micros, gv.gemini_cap_micros())
			AND    least(@cap_micros, gv.gemini_cap_micros()) > 0
			ON CONFLICT (tenant_id, day) DO UPDATE
			SET    reserved_tokens = d.reserved_tokens + excluded.reserved_tokens, reserved_micros = d.reserved_micros + excluded.reserved_micros
			WHERE  d.tokens + d.reserved_tokens + excluded.reserved_tokens <= @cap_tokens
			AND    d.cost_micros + d.reserved_micros + excluded.reserved_micros <= least(@cap_micros, gv.gemini_cap_micros())
			RETURNING day`,
			pgx.StrictNamedArgs{"tokens": r.tokens, "micros": r.micros, "cap_tokens": capTokens, "cap_micros": capMicros}).Scan(&r.day)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT ((now() AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC',
			       coalesce(sum(tokens + reserved_tokens), 0)::bigint, coalesce(sum(cost_micros + reserved_micros), 0)::bigint
			FROM   gv.gemini_days WHERE tenant_id = gv.tenant() AND day = (now() AT TIME ZONE 'UTC')::date`).
			Scan(&left.until, &left.tokens, &left.used)
	})
	switch {
	case err != nil:
		return r, fmt.Errorf("reserve what a call may cost: %w", err)
	case !left.until.IsZero():
		telemetry.GeminiCalls.Add(ctx, 1, r.model, r.purpose, "capped")
		return r, &Capped{Until: left.until.UTC(), Tokens: left.tokens+r.tokens > capTokens}
	}
	return r, nil
}

// chargeFor bounds how long charging takes; it is done even where the caller has
// left, for the money is gone.
const chargeFor = 5 * time.Second

// charge replaces the reservation of a call by what it used.
func (u usage) charge(ctx context.Context, r reservation, s spent) {
	outcome := "answered"
	if s.failed {
		outcome = "failed"
	}
	telemetry.GeminiCalls.Add(ctx, 1, r.model, r.purpose, outcome)
	telemetry.GeminiTokens.Add(ctx, float64(s.input), r.model, r.purpose, "input")
	telemetry.GeminiTokens.Add(ctx, float64(s.output), r.model, r.purpose, "output")
	telemetry.GeminiCost.Add(ctx, float64(s.micros)/1e6, r.model, r.purpose)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), chargeFor)
	defer cancel()
	failed := 0
	if s.failed {
		failed = 1
	}
	err := pg.InTenant(ctx, u.db, r.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH day AS (
				UPDATE gv.gemini_days
				SET    tokens = tokens + @input + @output, cost_micros = cost_micros + @micros,
				       reserved_tokens = greatest(reserved_tokens - @reserved_tokens, 0),
				       reserved_micros = greatest(reserved_micros - @reserved_micros, 0)
				WHERE  tenant_id = gv.tenant() AND day = @day
			)
			INSERT INTO gv.gemini_usage AS u (tenant_id, day, model, purpose, calls, failed, input_tokens, output_tokens, cost_micros)
			VALUES (gv.tenant(), @day, @model, @purpose, 1, @failed, @input, @output, @micros)
			ON CONFLICT (tenant_id, day, model, purpose) DO UPDATE
			SET    calls = u.calls + 1, failed = u.failed + excluded.failed, input_tokens = u.input_tokens + excluded.input_tokens,
			       output_tokens = u.output_tokens + excluded.output_tokens, cost_micros = u.cost_micros + excluded.cost_micros`,
			pgx.StrictNamedArgs{
				"day": r.day, "model": r.model, "purpose": r.purpose, "failed": failed, "input": s.input, "output": s.output,
				"micros":          s.micros,
				"reserved_tokens": r.tokens, "reserved_micros": r.micros,
			})
		return err
	})
	if err != nil {
		slog.WarnContext(ctx, "gemini: a call's cost stays as it was reserved", "tenant", r.tenant, "model", r.model, "error", err.Error())
	}
}
