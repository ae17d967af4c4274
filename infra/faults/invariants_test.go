package faults

import (
	"strconv"
	"time"
)

// rest waits until every sender was acknowledged and nothing is on its way any more.
func (f *flow) rest() {
	f.t.Helper()
	f.senders.Wait()
	quiet := 0
	for began := time.Now(); quiet < 3; time.Sleep(100 * time.Millisecond) {
		if f.resting() {
			quiet++
		} else {
			quiet = 0
		}
		if time.Since(began) > patience {
			states, _ := f.queue.States(f.t.Context())
			f.t.Fatalf("it does not come to rest: HubSpot has %d batches, the queue says %+v, the outbox holds %d",
				f.crm.Waiting(), states, one[int](f, `SELECT count(*) FROM gv.outbox`))
		}
	}
}

func (f *flow) resting() bool {
	if f.crm.Waiting() > 0 {
		return false
	}
	states, err := f.queue.States(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, s := range states {
		if s.Due+s.Handling+s.BackingOff > 0 {
			return false
		}
	}
	return one[int](f, `SELECT count(*) FROM gv.outbox`) == 0
}

// holds looks whether everything that was acknowledged is there once, and exact.
func (f *flow) holds() {
	f.t.Helper()
	f.rest()
	if n := one[int](f, `SELECT count(*) FROM gv.deals WHERE state = 'live'`); n != f.sent {
		f.t.Errorf("%d deals are in the ledger, want %d", n, f.sent)
	}
	if n := one[int](f, `SELECT count(*) FROM gv.clicks`); n != f.sent {
		f.t.Errorf("%d clicks and leads are recorded, want %d", n, f.sent)
	}
	if letters := one[string](f, `SELECT coalesce(string_agg(concat_ws(': ', topic, reason), E'\n'), '') FROM gv.dead_letters WHERE replayed_at IS NULL`); letters != "" {
		f.t.Errorf("messages were given up:\n%s", letters)
	}
	for ad, want := range f.expected {
		got := one[string](f, `SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE stage_name = 'closed_won'), coalesce(sum(value_minor), 0))
			FROM gv.deals WHERE ad_id = $1`, ad)
		if wanted := words(want.deals, want.won, want.minor); got != wanted {
			f.t.Errorf("the deals of ad %s (how many, won, cents) are %s, want %s", ad, got, wanted)
		}
		got = one[string](f, `SELECT concat_ws(' ', pipeline_minor, revenue_minor) FROM gv.ads WHERE ad_id = $1`, ad)
		if wanted := words(want.minor, want.minor); got != wanted {
			f.t.Errorf("ad %s has pipeline and revenue %s, want %s", ad, got, wanted)
		}
	}
	if n := one[int](f, `SELECT count(*) FROM (SELECT FROM gv.deal_stages GROUP BY portal_id, deal_id, stage_id, occurred_at HAVING count(*) > 1) x`); n > 0 {
		f.t.Errorf("%d moves are recorded twice", n)
	}
	winners := one[string](f, `SELECT concat_ws(' ', count(*) FILTER (WHERE a.is_winner), count(w.ad_id), count(DISTINCT w.ad_id))
		FROM gv.ads a LEFT JOIN gv.winners w ON w.tenant_id = a.tenant_id AND w.ad_id = a.ad_id AND w.active AND w.model = 'gemini-embedding-2'`)
	if winners != words(2, 2, 2) {
		f.t.Errorf("ads that won, winners in the memory, different ones: %s, want 2 2 2", winners)
	}
}

func words(numbers ...int64) string {
	text := ""
	for i, n := range numbers {
		if i > 0 {
			text += " "
		}
		text += strconv.FormatInt(n, 10)
	}
	return text
}
