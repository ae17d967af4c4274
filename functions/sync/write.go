package sync

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/metaconn"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// writeStructure writes campaigns, ad sets and ads, in batches, and gives what is
// listed no more its status. It returns the ads that are the account's here, too.
func (f *function) writeStructure(ctx context.Context, c connection, account *meta.Account, s structure, asOf time.Time) (listed map[string]bool, changed int, err error) {
	in := func(fn func(tx pgx.Tx) error) error { return pg.InTenant(ctx, f.db, c.TenantID, fn) }
	slices.SortFunc(s.campaigns, func(a, b meta.Campaign) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.adsets, func(a, b meta.AdSet) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.ads, func(a, b meta.Ad) int { return cmp.Compare(a.ID, b.ID) }) // the order in which everybody locks
	err = inBatches(s.campaigns, f.opts.Batch, func(batch []meta.Campaign) error {
		return in(func(tx pgx.Tx) error { return ads.NewStore(tx).PutCampaigns(ctx, c.AccountID, campaignRows(batch)) })
	})
	if err != nil {
		return nil, 0, err
	}
	err = inBatches(s.adsets, f.opts.Batch, func(batch []meta.AdSet) error {
		return in(func(tx pgx.Tx) error {
			if err := ads.NewStore(tx).PutAdSets(ctx, c.AccountID, adSetRows(batch)); err != nil {
				return err
			}
			return queue.NewStore(tx).Observe(ctx, c.TenantID, asOf, seenSets(batch))
		})
	})
	if err != nil {
		return nil, 0, err
	}
	listed = make(map[string]bool, len(s.ads))
	own := budgetsOf(s)
	err = inBatches(s.ads, f.opts.Batch, func(batch []meta.Ad) error {
		var ours []string
		var n int
		err := in(func(tx pgx.Tx) (err error) {
			if ours, n, err = ads.NewStore(tx).PutAds(ctx, c.AccountID, adRows(batch, own), asOf); err != nil {
				return err
			}
			return queue.NewStore(tx).Observe(ctx, c.TenantID, asOf, seenAds(batch))
		})
		changed += n
		for _, id := range ours {
			listed[id] = true
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	n, err := f.vanished(ctx, c, account, s)
	return listed, changed + n, err
}

// seenSets and seenAds are what the queue of changes wants to know of them: edits
// that are not ours are respected.
func seenSets(all []meta.AdSet) []changes.Seen {
	seen := make([]changes.Seen, len(all))
	for i, s := range all {
		seen[i] = changes.Seen{Object: "adset/" + s.ID, Budget: s.DailyBudget, Status: s.Status}
		if s.DailyBudget == nil {
			seen[i].Budget = s.SpendCap
		}
	}
	return seen
}

func seenAds(all []meta.Ad) []changes.Seen {
	seen := make([]changes.Seen, len(all))
	for i, a := range all {
		seen[i] = changes.Seen{Object: "ad/" + a.ID, Status: a.Status}
	}
	return seen
}

// vanished looks for what Meta listed once and lists no more: it was archived,
// or deleted.
func (f *function) vanished(ctx context.Context, c connection, account *meta.Account, s structure) (n int, err error) {
	for _, kind := range []struct {
		of       ads.Kind
		listed   []string
		archived func() ([]string, error)
	}{
		{ads.Ads, ids(s.ads, func(a meta.Ad) string { return a.ID }), func() ([]string, error) {
			all, err := account.Ads(ctx, true)
			return ids(all, func(a meta.Ad) string { return a.ID }), err
		}},
		{ads.Campaigns, ids(s.campaigns, func(c meta.Campaign) string { return c.ID }), func() ([]string, error) {
			all, err := account.Campaigns(ctx, true)
			return ids(all, func(c meta.Campaign) string { return c.ID }), err
		}},
	} {
		var missing, kept []string
		err := pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) (err error) {
			missing, err = ads.NewStore(tx).Missing(ctx, kind.of, c.AccountID, kind.listed)
			return err
		})
		if err == nil && len(missing) > 0 {
			kept, err = kind.archived()
		}
		if err != nil || len(missing) == 0 {
			if err != nil {
				return n, err
			}
			continue
		}
		if len(kind.listed)+len(kept) == 0 {
			// An account that all at once has nothing is more likely a token that no
			// longer sees it than an owner who deleted everything within the hour.
			slog.WarnContext(ctx, "sync: Meta lists none at all; they keep their status", "tenant", c.TenantID, "account", c.AccountID,
				"what", kind.of.String(), "known", len(missing))
			continue
		}
		err = pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
			return ads.NewStore(tx).MarkGone(ctx, kind.of, missing, kept)
		})
		if err != nil {
			return n, err
		}
		n += len(missing)
	}
	return n, nil
}

func ids[T any](all []T, id func(T) string) []string {
	found := make([]string, len(all))
	for i := range all {
		found[i] = id(all[i])
	}
	return found
}

// writeDays writes those of the days that differ from what is stored, and recomputes
// their ads, in one transaction. Ads that are not the account's here are passed over.
func (f *function) writeDays(ctx context.Context, c connection, batch []meta.Insight) (changed int, err error) {
	err = pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
		changed = 0
		store, days := ads.NewStore(tx), dayRows(batch)
		differ, err := store.Differing(ctx, c.AccountID, days)
		if err != nil || len(differ) == 0 {
			return err
		}
		touched := slices.Sorted(maps.Keys(differ))
		if err := store.Lock(ctx, touched); err != nil {
			return err
		}
		if changed, err = store.PutDays(ctx, c.AccountID, days); err != nil {
			return err
		}
		_, err = ads.Recompute(ctx, tx, touched)
		return err
	})
	return changed, err
}

// takeBack removes days that Meta reported before and no longer reports, of ads
// that it still lists: it reports nothing of deleted ones, whose past stays.
func (f *function) takeBack(ctx context.Context, c connection, listed map[string]bool, reported map[string]uint64, since, until time.Time) (n int, err error) {
	var gone []ads.DayOf
	err = pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
		gone = gone[:0]
		return ads.NewStore(tx).EachDay(ctx, c.AccountID, since, until, func(d ads.DayOf) {
			if listed[d.AdID] && reported[d.AdID]&(1<<int(d.Day.Sub(since).Hours()/24)) == 0 {
				gone = append(gone, d)
			}
		})
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(gone, func(a, b ads.DayOf) int { return cmp.Compare(a.AdID, b.AdID) })
	err = inBatches(gone, f.opts.Batch, func(batch []ads.DayOf) error {
		return pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
			touched := slices.Compact(ids(batch, func(d ads.DayOf) string { return d.AdID }))
			store := ads.NewStore(tx)
			if err := store.Lock(ctx, touched); err != nil {
				return err
			}
			if err := store.RemoveDays(ctx, batch); err != nil {
				return err
			}
			_, err := ads.Recompute(ctx, tx, touched)
			return err
		})
	})
	return len(gone), err
}

// reached records that all days after day have been read.
func (f *function) reached(ctx context.Context, c connection, day time.Time) error {
	return pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error { return metaconn.Reached(ctx, tx, c.AccountID, day) })
}

// through records that the account has been read to the end, up to day.
func (f *function) through(ctx context.Context, c connection, day time.Time) error {
	return pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error { return metaconn.Through(ctx, tx, c.AccountID, day) })
}
