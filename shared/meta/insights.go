package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/shared/clock"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Window is which days are asked for, and how.
type Window struct {
	Since, Until time.Time // dates of the account's time zone, both included
	// Large asks for a report that Meta makes in its own time; otherwise that is
	// done where Meta finds the question too large.
	Large bool
	// Conversions are the action types that count as conversions. They contain each
	// other at Meta (a purchase is reported as purchase and as omni_purchase), so of a
	// day only the first of them that is there counts.
	Conversions []string
}

// Insight is what one ad did on one day.
type Insight struct {
	AdID, AdSetID, CampaignID string
	Day                       time.Time // a date of the account's time zone, at midnight UTC
	Impressions               int64
	Clicks                    int64 // all clicks, as Meta's own ctr has them; LinkClicks are those to the site
	LinkClicks                int64
	Reach                     int64
	Frequency                 float64 // Meta's own; never to be summed
	Spend                     money.Amount
	Conversions               int64
	Value                     money.Amount // of the conversions
}

// Insights gives the days of the account's ads to fn, page after page. Meta
// reports no day without impressions. A day may come twice where Meta first
// took the question and then found it too large: the later is right.
func (a *Account) Insights(ctx context.Context, w Window, fn func([]Insight) error) error {
	currency, err := a.currency(ctx)
	if err != nil {
		return err
	}
	query, err := json.Marshal(map[string]string{"since": w.Since.Format(time.DateOnly), "until": w.Until.Format(time.DateOnly)})
	if err != nil {
		return err
	}
	params := url.Values{
		"level": {"ad"}, "time_increment": {"1"}, "time_range": {string(query)},
		"fields": {"ad_id,adset_id,campaign_id,date_start,impressions,clicks,inline_link_clicks,reach,frequency,spend,actions,action_values"},
	}
	page := func(rows []insightRow) error {
		days := make([]Insight, len(rows))
		for i, r := range rows {
			if days[i], err = r.insight(currency, w.Conversions); err != nil {
				return fmt.Errorf("read insights of ad %s on %s: %w", r.AdID, r.Day, err)
			}
		}
		return fn(days)
	}
	c := call{path: a.ID() + "/insights", class: insights, bulk: true, what: "read insights of " + a.ID()}
	if !w.Large {
		c.query = clone(params)
		// A question that is too large for Meta may also end in its codes 1 and 2, every time.
		if err := list(ctx, a, c, page); !is(err, tooMuch) && !is(err, temporary) {
			return err
		}
	}
	report, err := a.report(ctx, params)
	if err != nil {
		return err
	}
	c.path, c.query = report+"/insights", url.Values{}
	err = list(ctx, a, c, page)
	if Gone(err) {
		err = fault.Down("the report of "+a.ID()+" has expired at Meta before it was read", err)
	}
	return err
}

func clone(v url.Values) url.Values {
	c := url.Values{}
	for name, values := range v {
		c[name] = append([]string(nil), values...)
	}
	return c
}

// report has Meta make a report, waits for it and returns its id. A report that
// fails is asked for once more, for that is what Meta advises.
func (a *Account) report(ctx context.Context, params url.Values) (id string, err error) {
	inTime, cancel := context.WithTimeout(ctx, a.client.opts.ReportWithin)
	defer cancel()
	for range 2 {
		var begun struct {
			ID string `json:"report_run_id"`
		}
		// Asking twice makes two reports and changes nothing, so it is a read.
		c := call{path: a.ID() + "/insights", form: clone(params), class: insights, bulk: true, what: "ask for a report of " + a.ID()}
		if _, err = a.read(inTime, c, &begun); err != nil {
			return "", err
		}
		if begun.ID == "" {
			return "", errors.New("ask for a report: Meta names none")
		}
		if err = a.made(inTime, begun.ID); err == nil {
			return begun.ID, nil
		}
		if !errors.Is(err, errReport) {
			break
		}
	}
	if inTime.Err() != nil && ctx.Err() == nil {
		err = fault.Down(fmt.Sprintf("Meta has not made the report of %s within %s", a.ID(), a.client.opts.ReportWithin), err)
	}
	return "", err
}

var errReport = errors.New("the report could not be made")

// made waits until the report is there.
func (a *Account) made(ctx context.Context, id string) error {
	wait := a.client.opts.ReportPoll
	for {
		var job struct {
			Status  string `json:"async_status"`
			Percent int    `json:"async_percent_completion"`
		}
		_, err := a.read(ctx, call{
			path: id, query: url.Values{"fields": {"async_status,async_percent_completion"}}, class: insights,
			what: "look at report " + id,
		}, &job)
		if err != nil {
			return err
		}
		switch job.Status {
		case "Job Completed":
			if job.Percent >= 100 {
				return nil
			}
		case "Job Failed", "Job Skipped":
			return fault.Down("Meta could not make a report of "+a.ID(), fmt.Errorf("%w: %s at %d%%", errReport, job.Status, job.Percent))
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait for report %s: %w", id, err)
		}
		wait = min(wait*3/2, 15*time.Second)
	}
}

// insightRow is a day as Meta writes it.
type insightRow struct {
	AdID        string   `json:"ad_id"`
	AdSetID     string   `json:"adset_id"`
	CampaignID  string   `json:"campaign_id"`
	Day         string   `json:"date_start"`
	Impressions number   `json:"impressions"`
	Clicks      number   `json:"clicks"`
	LinkClicks  number   `json:"inline_link_clicks"`
	Reach       number   `json:"reach"`
	Frequency   number   `json:"frequency"`
	Spend       number   `json:"spend"`
	Actions     []action `json:"actions"`
	Values      []action `json:"action_values"`
}

type action struct {
	Type  string `json:"action_type"`
	Value number `json:"value"`
}

func (r insightRow) insight(c money.Currency, conversions []string) (Insight, error) {
	day, err := time.Parse(time.DateOnly, r.Day)
	if err != nil || r.AdID == "" {
		return Insight{}, errors.New("the row names no ad or no day")
	}
	i := Insight{AdID: r.AdID, AdSetID: r.AdSetID, CampaignID: r.CampaignID, Day: day}
	for _, n := range []struct {
		into *int64
		from number
	}{{&i.Impressions, r.Impressions}, {&i.Clicks, r.Clicks}, {&i.LinkClicks, r.LinkClicks}, {&i.Reach, r.Reach}} {
		v, countErr := n.from.count()
		*n.into, err = v, errors.Join(err, countErr)
	}
	var spendErr, valueErr, frequencyErr error
	i.Spend, spendErr = r.Spend.amount(c)
	i.Frequency, frequencyErr = r.Frequency.float()
	for _, kind := range conversions {
		count, ok := sum(r.Actions, kind)
		if !ok {
			continue
		}
		value, _ := sum(r.Values, kind)
		i.Conversions = int64(math.Round(count))
		i.Value, valueErr = number(strconv.FormatFloat(value, 'f', -1, 64)).amount(c)
		break
	}
	return i, errors.Join(err, spendErr, frequencyErr, valueErr)
}

func sum(actions []action, kind string) (total float64, ok bool) {
	for _, one := range actions {
		if one.Type != kind {
			continue
		}
		if v, err := one.Value.float(); err == nil {
			total, ok = total+v, true
		}
	}
	return total, ok
}

func (n number) float() (float64, error) {
	if n == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, errors.New("a figure is no number from 0 up")
	}
	return v, nil
}

func (n number) count() (int64, error) {
	v, err := n.float()
	if err == nil && v > 1e15 {
		err = errors.New("a count is out of range")
	}
	return int64(math.Round(v)), err
}

func (n number) amount(c money.Currency) (money.Amount, error) {
	v, err := n.float()
	if err != nil {
		return 0, err
	}
	return money.FromUnits(v, c)
}
