package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	// trailing days are read each time, for Meta restates them; an account that is
	// new, or was not read for long, is read further back.
	trailing = 28
	furthest = 90
	// window is how many days are read at once, newest first.
	window = 7
	// large accounts are read from reports: more rows in a window than this.
	large = 10_000
)

// sync reads an account and writes what has changed.
func (f *function) sync(ctx context.Context, c connection) (done result, err error) {
	account, info, err := f.open(ctx, c)
	if err != nil {
		return done, err
	}
	zone, err := f.follow(ctx, c, info)
	if err != nil {
		return done, err
	}
	asOf := time.Now() // what is read from here on is not older
	s, err := readStructure(ctx, account)
	if err != nil {
		return done, err
	}
	listed, changed, err := f.writeStructure(ctx, c, account, s, asOf)
	if err != nil {
		return done, err
	}
	done.ads, done.changed = len(listed), changed

	y, m, d := f.opts.Now().In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // a date, in the account's zone
	oldest := oldest(c, today)
	for until := today; !until.Before(oldest); until = until.AddDate(0, 0, -window) {
		since := until.AddDate(0, 0, 1-window)
		if since.Before(oldest) {
			since = oldest
		}
		// The newest days are read each time; older ones that a run which was cut
		// short has read are passed over.
		if !until.Equal(today) && c.ResumeDay != nil && since.After(*c.ResumeDay) {
			continue
		}
		n, err := f.days(ctx, c, account, listed, since, until)
		done.days += n
		if err != nil {
			return done, err
		}
		if err := f.reached(ctx, c, since.AddDate(0, 0, -1)); err != nil {
			return done, err
		}
	}
	return done, f.through(ctx, c, today.AddDate(0, 0, -1))
}

// oldest is the first day to be read.
func oldest(c connection, today time.Time) time.Time {
	first := today.AddDate(0, 0, -trailing)
	switch {
	case c.SyncedThrough == nil:
		return today.AddDate(0, 0, -furthest)
	case c.SyncedThrough.Before(first):
		return latest(*c.SyncedThrough, today.AddDate(0, 0, -furthest))
	}
	return first
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// open returns the account as Meta has it. A token that was rotated a moment ago
// deserves a second look, once.
func (f *function) open(ctx context.Context, c connection) (account *meta.Account, info meta.Info, err error) {
	for range 2 {
		var token string
		if token, err = f.secrets.Get(ctx, c.AccessToken); err != nil {
			return nil, info, err
		}
		account = f.meta.Account(c.AccountID, token)
		if info, err = account.Info(ctx); !meta.Unauthorized(err) {
			break
		}
		f.secrets.Forget(c.AccessToken)
	}
	return account, info, err
}

// follow stores the name and zone that Meta has of the account. Another currency is refused:
// all that is stored of the account is in the one that it had.
func (f *function) follow(ctx context.Context, c connection, info meta.Info) (*time.Location, error) {
	zone, err := time.LoadLocation(info.TimeZone)
	if err != nil || info.TimeZone == "" {
		return nil, &refused{fmt.Sprintf("Meta names the time zone %q, which is unknown here.", info.TimeZone)}
	}
	err = pg.InTenant(ctx, f.db, c.TenantID, func(tx pgx.Tx) error {
		had, used, err := kept(ctx, tx, c.AccountID)
		if err != nil {
			return err
		}
		if had != info.Currency && used {
			return &refused{fmt.Sprintf("Meta has the ad account in %s, but its figures here are in %s. Nothing was read: amounts would be wrong. "+
				"Connect the right account, or another one for the new currency.", info.Currency, had)}
		}
		return accounts.NewStore(tx).Follow(ctx, c.AccountID, info.Name, info.Currency, info.TimeZone)
	})
	return zone, err
}

// structure is an account's campaigns, ad sets and ads.
type structure struct {
	campaigns []meta.Campaign
	adsets    []meta.AdSet
	ads       []meta.Ad
}

func readStructure(ctx context.Context, account *meta.Account) (s structure, err error) {
	if s.campaigns, err = account.Campaigns(ctx, false); err != nil {
		return s, err
	}
	if s.adsets, err = account.AdSets(ctx); err != nil {
		return s, err
	}
	s.ads, err = account.Ads(ctx, false)
	return s, err
}

// days reads some days and writes those that have changed. Days that Meta
// reported before and no longer reports are removed.
func (f *function) days(ctx context.Context, c connection, account *meta.Account, listed map[string]bool, since, until time.Time) (changed int, err error) {
	reported := map[string]uint64{} // by ad, a bit for each day
	w := meta.Window{Since: since, Until: until, Large: len(listed)*window > large, Conversions: f.opts.Conversions}
	err = account.Insights(ctx, w, func(page []meta.Insight) error {
		for i := range page {
			n := int(page[i].Day.Sub(since).Hours() / 24)
			if n < 0 || n > window {
				return fmt.Errorf("insights of %s, which was not asked for", page[i].Day.Format(time.DateOnly))
			}
			reported[page[i].AdID] |= 1 << n
			page[i].Clicks = min(page[i].Clicks, page[i].Impressions) // a few people click twice
		}
		return inBatches(page, f.opts.Batch, func(batch []meta.Insight) error {
			n, err := f.writeDays(ctx, c, batch)
			changed += n
			return err
		})
	})
	if err != nil {
		return changed, err
	}
	n, err := f.takeBack(ctx, c, listed, reported, since, until)
	return changed + n, err
}

func inBatches[T any](all []T, size int, do func([]T) error) error {
	for len(all) > 0 {
		n := min(size, len(all))
		if err := do(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// status is what an ad, ad set or campaign comes to: ACTIVE is what delivers, or
// will once Meta has looked at it.
func status(configured, effective string) string {
	switch effective {
	case "ARCHIVED", "DELETED":
		return effective
	case "ACTIVE", "IN_PROCESS", "PENDING_REVIEW", "PREAPPROVED", "WITH_ISSUES":
		if configured == "ACTIVE" {
			return "ACTIVE"
		}
	}
	switch configured {
	case "ARCHIVED", "DELETED":
		return configured
	}
	return "PAUSED"
}

// creative is what an ad's texts say as creative DNA; nil where it has none.
func creative(ad meta.Ad) map[string]any {
	dna := map[string]any{}
	for key, value := range map[string]string{"headline": ad.Title, "primary_text": ad.Body, "call_to_action": ad.CallToAction} {
		if value != "" {
			dna[key] = value
		}
	}
	if len(dna) == 0 {
		return nil
	}
	dna["dna_source"] = "meta"
	return dna
}

// budgetsOf are the budgets of ads that are alone in their ad sets, by ad.
func budgetsOf(s structure) map[string]int64 {
	holds := map[string]int{}
	for _, ad := range s.ads {
		holds[ad.AdSetID]++
	}
	budgets := map[string]*int64{}
	for _, set := range s.adsets {
		budgets[set.ID] = set.DailyBudget
	}
	own := map[string]int64{}
	for _, ad := range s.ads {
		if b := budgets[ad.AdSetID]; b != nil && holds[ad.AdSetID] == 1 {
			own[ad.ID] = min(*b, int64(money.Max))
		}
	}
	return own
}
