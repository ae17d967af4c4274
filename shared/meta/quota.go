package meta

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// class is a quota of Meta's: reports and the rest are counted apart.
type class int

const (
	management class = iota
	insights
	every // both
)

// Usage is in percent. Bulk reads stop at bulkUpTo, so that the executor's
// few calls have room; everything stops at allUpTo, before Meta says so.
const (
	bulkUpTo = 80
	allUpTo  = 95
)

// rest is how long an account is left alone where Meta names no time: its scores
// decay in 300 s, and its windows of an hour roll.
const rest = 5 * time.Minute

// gate is whom a pause holds back: an account, or all of them where it is "".
type gate struct {
	account string
	class   class
}

// pause is when calls may be made again, bulk reads and any.
type pause struct {
	bulk, all time.Time
	why       string
}

// quota tracks pauses.
type quota struct {
	now    func() time.Time
	mu     sync.Mutex
	pauses map[gate]pause
}

// wait returns for how long a call is to be held back, and why.
func (q *quota) wait(account string, c class, bulk bool) (longest time.Duration, why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	for _, g := range []gate{{account, c}, {account, every}, {"", c}, {"", every}} {
		p, ok := q.pauses[g]
		if !ok {
			continue
		}
		until := p.all
		if bulk && p.bulk.After(until) {
			until = p.bulk
		}
		if d := until.Sub(now); d > longest {
			longest, why = d, p.why
		}
		if !p.all.After(now) && !p.bulk.After(now) {
			delete(q.pauses, g)
		}
	}
	return longest, why
}

// pause pauses a gate; a pause is never made shorter.
func (q *quota) pause(g gate, bulk, all time.Duration, why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, now := q.pauses[g], q.now()
	if until := now.Add(bulk); bulk > 0 && until.After(p.bulk) {
		p.bulk, p.why = until, why
	}
	if until := now.Add(all); all > 0 && until.After(p.all) {
		p.all, p.why = until, why
	}
	q.pauses[g] = p
}

// used holds g back where percent of its quota are used.
func (q *quota) used(g gate, percent float64, reset time.Duration, name string) {
	why := fmt.Sprintf("%s says that %.0f%% of the quota is used", name, percent)
	d := or(reset, rest)
	switch {
	case percent >= allUpTo:
		q.pause(g, d, d, why)
	case percent >= bulkUpTo:
		q.pause(g, d, 0, why)
	}
}

// throttled holds back whom Meta has just refused, and returns for how long.
func (q *quota) throttled(account string, c class, e *Error) time.Duration {
	g, d := gate{account, every}, rest
	switch {
	case e.Code == 4 || e.Code == 341: // the whole app
		g = gate{"", c}
	case e.Code == codeThrottled && e.Subcode == subcodePostLimit: // 100 a second
		d = time.Second
	case e.Code >= 80000: // a quota of its own
		g.class = c
	}
	if pause, _ := q.wait(account, c, false); pause > 0 && d == rest {
		return pause // a header of the same answer has said it better
	}
	q.pause(g, d, d, fmt.Sprintf("Meta refused a call with code %d/%d", e.Code, e.Subcode))
	return d
}

// appUsage is X-App-Usage, and an entry of X-Business-Use-Case-Usage.
type appUsage struct {
	Type    string  `json:"type"`
	Calls   float64 `json:"call_count"`
	CPU     float64 `json:"total_cputime"`
	Time    float64 `json:"total_time"`
	Minutes float64 `json:"estimated_time_to_regain_access"`
}

func (u appUsage) percent() float64 { return max(u.Calls, u.CPU, u.Time) }

// learn reads what an answer says of quotas. A header that cannot be read says nothing.
func (q *quota) learn(account string, header http.Header) {
	var app appUsage
	if parse(header, "X-App-Usage", &app) {
		q.used(gate{"", every}, app.percent(), 0, "X-App-Usage")
	}
	var cases map[string][]appUsage
	if parse(header, "X-Business-Use-Case-Usage", &cases) {
		for _, list := range cases {
			for _, u := range list {
				q.business(gate{account, classOf(u.Type)}, u)
			}
		}
	}
	var own struct {
		Percent float64 `json:"acc_id_util_pct"`
		Reset   float64 `json:"reset_time_duration"` // seconds
	}
	if parse(header, "X-Ad-Account-Usage", &own) {
		q.used(gate{account, every}, own.Percent, seconds(own.Reset), "X-Ad-Account-Usage")
	}
	var reports struct {
		App     float64 `json:"app_id_util_pct"`
		Account float64 `json:"acc_id_util_pct"`
	}
	if parse(header, "X-Fb-Ads-Insights-Throttle", &reports) {
		q.used(gate{"", insights}, reports.App, 0, "X-FB-Ads-Insights-Throttle")
		q.used(gate{account, insights}, reports.Account, 0, "X-FB-Ads-Insights-Throttle")
	}
}

func (q *quota) business(g gate, u appUsage) {
	if g.class < 0 {
		return
	}
	if d := seconds(u.Minutes * 60); d > 0 {
		q.pause(g, d, d, fmt.Sprintf("Meta gives access back in %v minutes", u.Minutes))
		return
	}
	q.used(g, u.percent(), 0, "X-Business-Use-Case-Usage")
}

// classOf is the class that a use case counts; -1 for those that we do not use.
func classOf(use string) class {
	switch use {
	case "ads_insights":
		return insights
	case "ads_management":
		return management
	}
	return -1
}

// seconds is a time of Meta's, at most a day whatever was sent.
func seconds(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 24*3600) * float64(time.Second))
}

func parse(header http.Header, name string, into any) bool {
	value := header.Get(name)
	return strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), into) == nil
}
