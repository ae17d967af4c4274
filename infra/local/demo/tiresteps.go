package demo

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tired is what the play knows of the ad that tires.
type tired struct {
	ad     adRow
	adset  string
	days   []day
	budget float64
	change string // the cut
}

// day is a stored day of an ad's delivery; money is in minor units.
type day struct {
	Day         time.Time
	Impressions int64
	Clicks      int64
	Spend       int64
	Reach       int64
	Frequency   float64
}

// change is what the demo reads of one.
type change struct {
	ID     string  `json:"id"`
	Object string  `json:"budget_object"`
	Before float64 `json:"before_budget"`
	Target float64 `json:"target_budget"`
	Status string  `json:"status"`
	WhyNot string  `json:"why_not"`
	Mode   string  `json:"mode"`
}

// swept is what the demo reads of a sweep's report.
type swept struct {
	LookedAt int            `json:"looked_at"`
	ByStatus map[string]int `json:"by_status"`
	Ads      []struct {
		AdID      string `json:"ad_id"`
		Status    string `json:"status"`
		Reason    string `json:"reason"`
		ChangeID  string `json:"change_id"`
		RefreshID string `json:"refresh_id"`
	} `json:"ads"`
}

func (p *play) sweep(ctx context.Context) (found swept, err error) {
	return found, p.editor.post(ctx, "/api/ml/fatigue/sweep", nil, &found)
}

// worn is what is left of a tiring ad's clicks, on how many of its last days.
const (
	worn     = 0.4
	wornDays = 3
)

// tires takes the clicks of an ad's last days away, as a new report from Meta
// would: its audience has seen it.
func (p *play) tires(ctx context.Context) error {
	if _, err := p.sweep(ctx); err != nil { // so that it is known who is well
		return err
	}
	ads, err := p.editor.ads(ctx)
	if err != nil {
		return err
	}
	for _, ad := range ads {
		if ad.Status != "ACTIVE" || ad.DailyBudget < 20 || ad.FatigueStatus != "HEALTHY" || ad.ID == p.ad.ID {
			continue
		}
		adset, days, err := p.owner.days(ctx, p.tenant, ad.ID)
		if err != nil {
			return err
		}
		if len(days) >= 10 && clicksOf(days) > clicksOf(p.tired.days) {
			p.tired = tired{ad: ad, adset: adset, days: days, budget: ad.DailyBudget}
		}
	}
	if p.tired.ad.ID == "" {
		return fmt.Errorf("none of the account's %d ads is healthy and busy enough to tire", len(ads))
	}
	after := slices.Clone(p.tired.days)
	for i := len(after) - wornDays; i < len(after); i++ {
		after[i].Clicks = int64(worn * float64(after[i].Clicks))
	}
	last := len(after) - 1
	p.say("Ad %s, %q, has run for %d days at %s a day.", p.tired.ad.ID, p.tired.ad.Name, len(after), p.money(p.tired.budget))
	p.say("A new report says: %d clicks yesterday, not %d. Everybody has seen it.", after[last].Clicks, p.tired.days[last].Clicks)
	return p.report(ctx, after)
}

func clicksOf(days []day) (sum int64) {
	for _, d := range days {
		sum += d.Clicks
	}
	return sum
}

// report imports the tired ad's last days.
func (p *play) report(ctx context.Context, days []day) error {
	var file bytes.Buffer
	form := multipart.NewWriter(&file)
	part, err := form.CreateFormFile("file", "ads-manager-export.csv")
	if err != nil {
		return err
	}
	table := csv.NewWriter(part)
	rows := [][]string{{
		"Campaign ID", "Ad set ID", "Ad ID", "Day", "Impressions", "Reach", "Frequency", "Clicks (all)",
		fmt.Sprintf("Amount spent (%s)", p.tenant.Currency),
	}}
	for _, d := range days[len(days)-wornDays:] {
		rows = append(rows, []string{
			p.tired.ad.CampaignID, p.tired.adset, p.tired.ad.ID, d.Day.Format(time.DateOnly), strconv.FormatInt(d.Impressions, 10),
			strconv.FormatInt(d.Reach, 10), strconv.FormatFloat(d.Frequency, 'f', 6, 64), strconv.FormatInt(d.Clicks, 10),
			strconv.FormatFloat(units(d.Spend, p.tenant), 'f', -1, 64),
		})
	}
	if err := errors.Join(table.WriteAll(rows), form.Close()); err != nil {
		return err
	}
	var answer struct{ Rejected int }
	_, err = p.editor.do(ctx, request{
		method: http.MethodPost, path: "/api/ads/import?account_id=" + url.QueryEscape(p.tenant.AccountID),
		body: file.Bytes(), header: http.Header{"Content-Type": {form.FormDataContentType()}},
	}, &answer)
	if err != nil {
		return err
	}
	return want("rejected rows of the report", answer.Rejected, 0)
}

// swept lets the account change budgets by itself, and has its ads judged.
func (p *play) swept(ctx context.Context) error {
	if err := p.mode(ctx, "live"); err != nil {
		return err
	}
	found, err := p.sweep(ctx)
	if err != nil {
		return err
	}
	var counts []string
	for _, status := range slices.Sorted(maps.Keys(found.ByStatus)) {
		counts = append(counts, fmt.Sprintf("%d %s", found.ByStatus[status], status))
	}
	p.say("The sweep looked at %d active ads: %s.", found.LookedAt, strings.Join(counts, ", "))
	for _, ad := range found.Ads {
		if ad.AdID != p.tired.ad.ID {
			continue
		}
		p.tired.change = ad.ChangeID
		p.say("Ad %s is %s: %s", ad.AdID, ad.Status, ad.Reason)
		if ad.RefreshID == "" {
			return fmt.Errorf("no new creative was asked for in place of ad %s", ad.AdID)
		}
	}
	if p.tired.change == "" {
		return fmt.Errorf("no cut was queued for ad %s; the sweep remediated %d ads", p.tired.ad.ID, len(found.Ads))
	}
	cut, err := p.change(ctx, p.tired.change)
	if err != nil {
		return err
	}
	p.say("Queued: %s of %s, %s -> %s (%s, %s). A replacement is being planned.", cut.ID, cut.Object, p.money(cut.Before), p.money(cut.Target), cut.Status, cut.Mode)
	return firstOf(
		p.sameMoney("the cut's beginning", cut.Before, p.tired.budget),
		p.sameMoney("the cut's end", cut.Target, units(minor(p.tired.budget, p.tenant)*4/5, p.tenant)),
	)
}

// executed has the queue's work done, and looks at Meta's own figure.
func (p *play) executed(ctx context.Context) error {
	if err := p.carryOut(ctx, p.tired.change); err != nil {
		return err
	}
	at := p.sys.Meta.AdSet(p.tired.adset)
	p.say("Read, written, read back: Meta's ad set %s has %s a day, not %s. No raise for 48 hours.",
		p.tired.adset, p.money(units(at.DailyBudget, p.tenant)), p.money(p.tired.budget))
	return want("Meta's daily budget in minor units", at.DailyBudget, minor(p.tired.budget, p.tenant)*4/5)
}

// undone takes the cut back, and with it what it forbade.
func (p *play) undone(ctx context.Context) error {
	var undo change
	if err := p.admin.post(ctx, "/api/ads/changes/"+p.tired.change+"/undo", nil, &undo); err != nil {
		return err
	}
	if err := p.carryOut(ctx, undo.ID); err != nil {
		return err
	}
	at := p.sys.Meta.AdSet(p.tired.adset)
	p.say("The owner thinks otherwise: the undo is carried out too, and Meta says %s again.", p.money(units(at.DailyBudget, p.tenant)))
	var answer struct {
		History []struct {
			Outcome   string  `json:"outcome"`
			Before    float64 `json:"before_budget"`
			After     float64 `json:"after_budget"`
			Initiator string  `json:"initiator"`
		} `json:"history"`
	}
	if err := p.editor.get(ctx, "/api/ads/history?limit=4&ad_id="+url.QueryEscape(p.tired.ad.ID), &answer); err != nil {
		return err
	}
	for _, h := range answer.History {
		p.say("  %s by %s: %s -> %s", h.Outcome, h.Initiator, p.money(h.Before), p.money(h.After))
	}
	// So that the play can be repeated.
	return firstOf(
		want("Meta's daily budget in minor units", at.DailyBudget, minor(p.tired.budget, p.tenant)),
		p.report(ctx, p.tired.days), p.mode(ctx, "dry_run"),
	)
}

// carryOut runs the executor until the change is carried out: it may fall due in
// 3 to 18 seconds, for which a run waits. Where the schedule's own run has the
// account, ours does nothing, and that one's minute has to pass.
func (p *play) carryOut(ctx context.Context, id string) error {
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); {
		if _, err := p.sys.Run(ctx, "execute"); err != nil {
			return err
		}
		c, err := p.change(ctx, id)
		if err != nil {
			return err
		}
		switch c.Status {
		case "applied":
			return nil
		case "pending", "applying", "unknown":
		default:
			return fmt.Errorf("change %s is %s: %s", id, c.Status, c.WhyNot)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("change %s is still not carried out", id)
}

func (p *play) change(ctx context.Context, id string) (change, error) {
	var listed struct {
		Changes []change `json:"changes"`
	}
	if err := p.editor.get(ctx, "/api/ads/changes?limit=100&ad_id="+url.QueryEscape(p.tired.ad.ID), &listed); err != nil {
		return change{}, err
	}
	for _, c := range listed.Changes {
		if c.ID == id {
			return c, nil
		}
	}
	return change{}, fmt.Errorf("change %s is not among the %d of ad %s", id, len(listed.Changes), p.tired.ad.ID)
}

func (p *play) mode(ctx context.Context, mode string) error {
	_, err := p.admin.do(ctx, request{
		method: http.MethodPut, path: "/api/accounts/" + url.PathEscape(p.tenant.AccountID), body: map[string]any{"mode": mode},
	}, nil)
	return err
}
