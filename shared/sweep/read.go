package sweep

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/money"
)

// place is how far a sweep has come: behind that ad.
type place struct {
	tenant, ad string
	started    time.Time
	report     *Report // so far, of the tenant that it is at
	resumed    bool
}

// nobody is before every tenant.
const nobody = "00000000-0000-0000-0000-000000000000"

// plain keeps the planner to the one plan that is right for some thousand keys in
// a table of any size: look each of them up.
const plain = `SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
	set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`

// read sends the ads behind from in batches, with all that there is to know of
// them.
func (s *Sweep) read(ctx context.Context, from place, own []string, to chan<- *ads) error {
	var (
		after = from
		rest  []key               // that were read, and wait for the others of their tenant
		then  time.Time           // when they were
		large map[string]*medians // of the tenant that no batch holds, by account
	)
	for {
		var (
			b       = &ads{from: from}
			full    bool
			reached place
			left    []key
			now     time.Time
			known   map[string]*medians
		)
		err := s.inPlain(ctx, func(tx pgx.Tx) (err error) {
			now = s.now()
			b.now, b.keys = now, append(b.keys[:0], rest...)
			if len(rest) > 0 {
				b.now = then
			}
			if full, err = b.readAds(ctx, tx, after, s.only, own, s.batch); err != nil || len(b.keys) == 0 {
				return err
			}
			end := b.keys[len(b.keys)-1]
			reached = place{tenant: end.tenant, ad: end.ad}
			left = b.divide(full)
			known, err = b.readBeside(ctx, tx, large)
			return err
		})
		if err != nil || len(b.keys) == 0 {
			return err
		}
		end := b.keys[len(b.keys)-1]
		from, after, rest, then, large = place{tenant: end.tenant, ad: end.ad}, reached, left, now, known
		select {
		case to <- b: // it is the receiver's from here on
		case <-ctx.Done():
			return ctx.Err()
		}
		if !full {
			return nil
		}
	}
}

// inPlain runs fn in a transaction with the one plan that is right.
func (s *Sweep) inPlain(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return s.in(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, plain); err != nil {
			return fmt.Errorf("set up the batch: %w", err)
		}
		return fn(tx)
	})
}

// scheduled returns the tenants that a sweep of all passes over: those that have
// a schedule of their own.
func (s *Sweep) scheduled(ctx context.Context) (tenants []string, err error) {
	if s.tenant != "" || s.only != "" {
		return nil, nil
	}
	err = s.in(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT tenant_id::text FROM gv.schedules WHERE name = $1`, ScheduleName)
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	return tenants, nil
}

// readBeside reads what the batch's ads are compared with. It returns the medians of
// the last tenant's accounts where the next batch goes on with it.
func (b *ads) readBeside(ctx context.Context, tx pgx.Tx, large map[string]*medians) (map[string]*medians, error) {
	if err := b.readAccounts(ctx, tx); err != nil {
		return nil, err
	}
	if b.partial && (large == nil || b.keys[0].tenant != b.from.tenant) {
		var err error
		if large, err = b.readSample(ctx, tx); err != nil {
			return nil, err
		}
	}
	b.compare(large)
	if !b.partial || b.keys[len(b.keys)-1].tenant != b.keys[0].tenant {
		large = nil
	}
	return large, nil
}

// readAds reads the ads that come next with their days, and reports whether there
// may be more: those of the tenant only, or, where that is "", of all but own.
func (b *ads) readAds(ctx context.Context, tx pgx.Tx, after place, only string, own []string, most int) (full bool, err error) {
	whose, tenants := `a.tenant_id <> ALL (@tenants::uuid[])`, append([]string{}, own...)
	if only != "" {
		whose, tenants = `a.tenant_id = ANY (@tenants::uuid[])`, []string{only}
	}
	rows, _ := tx.Query(ctx, `
		SELECT   a.tenant_id::text, a.account_id, a.ad_id, a.impressions, coalesce(f.status, @unknown), f.status IS NOT NULL, m.days
		FROM     gv.ads a
		LEFT     JOIN gv.ad_fatigue f ON f.tenant_id = a.tenant_id AND f.ad_id = a.ad_id
		LEFT     JOIN LATERAL (`+packed+`) AS m ON true
		WHERE    a.status = 'ACTIVE' AND (a.tenant_id, a.ad_id) > (@tenant::uuid, @ad)
		AND      `+whose+`
		ORDER BY a.tenant_id, a.ad_id
		LIMIT    @most`,
		pgx.StrictNamedArgs{
			"tenant": after.tenant, "ad": after.ad, "tenants": tenants, "most": most,
			"unknown": fatigue.InsufficientData, "since": b.since(), "days": window + 1,
		})
	n, err := b.collect(rows)
	return n == most, err
}

// readSample reads the largest ads of each account of the first tenant, which no
// batch holds at once, and returns their medians.
func (b *ads) readSample(ctx context.Context, tx pgx.Tx) (map[string]*medians, error) {
	sample := &ads{now: b.now}
	rows, _ := tx.Query(ctx, `
		SELECT a.tenant_id::text, a.account_id, a.ad_id, a.impressions, @unknown::text, false, m.days
		FROM   gv.accounts c
		CROSS  JOIN LATERAL (
			SELECT   tenant_id, account_id, ad_id, impressions
			FROM     gv.ads
			WHERE    tenant_id = c.tenant_id AND account_id = c.account_id AND status = 'ACTIVE'
			ORDER BY impressions DESC, ad_id
			LIMIT    @most
		) AS a
		LEFT   JOIN LATERAL (`+packed+`) AS m ON true
		WHERE  c.tenant_id = @tenant`,
		pgx.StrictNamedArgs{
			"tenant": b.keys[0].tenant, "most": sampled,
			"unknown": fatigue.InsufficientData, "since": b.since(), "days": window + 1,
		})
	if _, err := sample.collect(rows); err != nil {
		return nil, err
	}
	sample.divide(false)
	if err := sample.readAccounts(ctx, tx); err != nil {
		return nil, err
	}
	sample.compare(nil)
	sample.judge()
	found := map[string]*medians{}
	for _, a := range sample.accounts {
		a.medians.sample, a.medians.together = true, a.together
		found[a.id] = a.medians
	}
	return found, nil
}

// collect takes in ads with their days, and returns how many.
func (b *ads) collect(rows pgx.Rows) (n int, err error) {
	var (
		k     key
		days  pgtype.DriverBytes
		space arena
		texts = map[string]string{} // few accounts, many ads: one text of each
	)
	_, err = pgx.ForEachRow(rows, []any{&k.tenant, &k.account, &k.ad, &k.impressions, &k.was, &k.stored, &days}, func() error {
		for _, text := range []*string{&k.tenant, &k.account, (*string)(&k.was)} {
			if known, ok := texts[*text]; ok {
				*text = known
			} else {
				texts[*text] = *text
			}
		}
		k.days = space.unpack(days)
		b.keys = append(b.keys, k)
		n++
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read active ads and their days: %w", err)
	}
	return n, nil
}

// readAccounts reads what day it is in the accounts, and their currencies.
func (b *ads) readAccounts(ctx context.Context, tx pgx.Tx) error {
	tenants, ids := make([]string, len(b.accounts)), make([]string, len(b.accounts))
	for i, a := range b.accounts {
		tenants[i], ids[i] = a.tenant, a.id
	}
	rows, _ := tx.Query(ctx, `
		SELECT k.place, a.time_zone, a.currency
		FROM   unnest(@tenants::uuid[], @accounts::text[]) WITH ORDINALITY AS k (tenant_id, account_id, place)
		JOIN   gv.accounts a USING (tenant_id, account_id)`,
		pgx.StrictNamedArgs{"tenants": tenants, "accounts": ids})
	var (
		at             int64
		zone, currency string
	)
	_, err := pgx.ForEachRow(rows, []any{&at, &zone, &currency}, func() error {
		a := b.accounts[at-1]
		where, err := time.LoadLocation(zone)
		if err != nil {
			where = time.UTC // a zone that nobody knows has no day of its own
		}
		y, m, d := b.now.In(where).Date()
		a.today = dayOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
		a.currency = money.Currency(currency)
		a.unit = math.Pow10(a.currency.Decimals())
		return nil
	})
	if err != nil {
		return fmt.Errorf("read accounts: %w", err)
	}
	return nil
}
