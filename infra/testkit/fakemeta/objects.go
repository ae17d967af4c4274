package fakemeta

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const stamp = "2006-01-02T15:04:05-0700"

// object is an object as Meta writes it: budgets and counts as texts. The ads of
// an ad set are looked for only where they are asked for.
func (f *Fake) object(kind, id string, withAds bool) map[string]any {
	text := func(n int64) any {
		if n == 0 {
			return nil
		}
		return strconv.FormatInt(n, 10)
	}
	switch kind {
	case "campaign":
		c := f.state.Campaigns[id]
		return map[string]any{
			"id": id, "account_id": c.AccountID, "name": c.Name, "status": c.Status, "effective_status": c.Status,
			"daily_budget": text(c.DailyBudget), "lifetime_budget": text(c.LifetimeBudget), "created_time": c.Created.Format(stamp),
		}
	case "adset":
		s := f.state.AdSets[id]
		o := map[string]any{
			"id": id, "account_id": s.AccountID, "campaign_id": s.CampaignID, "name": s.Name, "status": s.Status,
			"effective_status": f.effective(s.Status, "", s.CampaignID),
			"daily_budget":     strconv.FormatInt(s.DailyBudget, 10), "lifetime_budget": strconv.FormatInt(s.LifetimeBudget, 10),
			"daily_min_spend_target": text(s.MinSpend), "daily_spend_cap": text(s.SpendCap), "created_time": s.Created.Format(stamp),
		}
		if s.Learning != "" {
			o["learning_stage_info"] = map[string]any{"status": s.Learning}
		}
		if c := f.state.Campaigns[s.CampaignID]; c != nil {
			o["campaign"] = map[string]any{"id": c.ID, "daily_budget": text(c.DailyBudget), "lifetime_budget": text(c.LifetimeBudget)}
		}
		if !withAds {
			return o
		}
		ads := []any{}
		for _, one := range sorted(f.state.Ads) {
			if ad := f.state.Ads[one]; ad.AdSetID == id && ad.Status != "DELETED" {
				ads = append(ads, map[string]any{"id": one, "status": ad.Status})
			}
		}
		if len(ads) > 0 { // Meta leaves an empty edge out
			o["ads"] = map[string]any{"data": ads}
		}
		return o
	default:
		ad := f.state.Ads[id]
		return map[string]any{
			"id": id, "account_id": ad.AccountID, "campaign_id": ad.CampaignID, "adset_id": ad.AdSetID, "name": ad.Name, "status": ad.Status,
			"effective_status": or(ad.Effective, f.effective(ad.Status, ad.AdSetID, ad.CampaignID)), "created_time": ad.Created.Format(stamp),
			"creative": map[string]any{"id": "9" + id, "name": ad.Name, "title": ad.Title, "body": ad.Body, "call_to_action_type": ad.CallToAction},
		}
	}
}

func (f *Fake) effective(status, adset, campaign string) string {
	if status != "ACTIVE" {
		return status
	}
	if s := f.state.AdSets[adset]; s != nil && s.Status == "PAUSED" {
		return "ADSET_PAUSED"
	}
	if c := f.state.Campaigns[campaign]; c != nil && c.Status == "PAUSED" {
		return "CAMPAIGN_PAUSED"
	}
	return status
}

// list answers an edge of an account.
func (f *Fake) list(q *question, account string) (int, any) {
	var kind string
	var ids []string
	keep := func(owner, status string) bool {
		archived := strings.Contains(q.r.Form.Get("effective_status"), "ARCHIVED")
		return owner == account && status != "DELETED" && (status == "ARCHIVED") == archived
	}
	switch q.edge {
	case "campaigns":
		kind = "campaign"
		for _, id := range sorted(f.state.Campaigns) {
			if c := f.state.Campaigns[id]; keep(c.AccountID, c.Status) {
				ids = append(ids, id)
			}
		}
	case "adsets":
		kind = "adset"
		for _, id := range sorted(f.state.AdSets) {
			if s := f.state.AdSets[id]; keep(s.AccountID, s.Status) {
				ids = append(ids, id)
			}
		}
	case "ads":
		kind = "ad"
		for _, id := range sorted(f.state.Ads) {
			if ad := f.state.Ads[id]; keep(ad.AccountID, ad.Status) {
				ids = append(ids, id)
			}
		}
	default:
		return no(2500, 0, "Unknown path components: /"+q.edge)
	}
	from, to, paging := f.page(q, len(ids))
	data, withAds := []any{}, strings.Contains(q.r.Form.Get("fields"), "ads.")
	for _, id := range ids[from:to] {
		data = append(data, only(q, f.object(kind, id, withAds)))
	}
	return http.StatusOK, map[string]any{"data": data, "paging": paging}
}

// page cuts a list of n and says where it goes on. As Meta's, the address of the
// next page holds the token.
func (f *Fake) page(q *question, n int) (from, to int, paging map[string]any) {
	limit, err := strconv.Atoi(q.r.Form.Get("limit"))
	if err != nil || limit < 1 {
		limit = 25
	}
	place := "after"
	if f.opts.Offsets {
		place = "offset"
	}
	from, _ = strconv.Atoi(strings.TrimPrefix(q.r.Form.Get(place), "QV"))
	from = min(max(from, 0), n)
	to = min(from+min(limit, f.opts.MaxPage), n)
	paging = map[string]any{}
	next := strconv.Itoa(to)
	if !f.opts.Offsets {
		next = "QV" + next
		paging["cursors"] = map[string]any{"before": "QV" + strconv.Itoa(from), "after": next}
	}
	if to < n {
		again := url.Values{}
		for name, values := range q.r.Form {
			again[name] = values
		}
		again.Set(place, next)
		again.Set("access_token", q.token)
		path, _, _ := strings.Cut(q.r.RequestURI, "?") // as it was asked, whatever stands in front of the fake
		address := "http://" + q.r.Host + path + "?" + again.Encode()
		if f.opts.Next != nil {
			address = f.opts.Next(address)
		}
		paging["next"] = address
	}
	return from, to, paging
}

func sorted[T any](m map[string]T) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// write changes an object, or says why not.
func (f *Fake) write(q *question, kind string) (int, any) {
	form := q.r.PostForm
	validate := strings.Contains(form.Get("execution_options"), "validate_only")
	fields := slices.DeleteFunc(sorted(form), func(name string) bool { return name == "execution_options" })
	if len(fields) == 0 {
		return no(100, 0, "(#100) Invalid parameter: nothing to change")
	}
	now := f.opts.Now()
	var writes []Write
	for _, field := range fields { // all of them are good, or none is applied
		before, status, body := f.check(kind, q.id, field, form.Get(field), now)
		w := Write{At: now, Object: q.id, Field: field, Before: before, After: form.Get(field), ValidateOnly: validate, Applied: !validate}
		if status != http.StatusOK {
			w.Applied = false
			if t, ok := body.(map[string]any)["error"].(trouble); ok {
				w.Code, w.Subcode = t.Code, t.Subcode
			}
			f.state.Writes = append(f.state.Writes, w)
			return status, body
		}
		writes = append(writes, w)
	}
	for _, w := range writes {
		if w.Applied {
			f.apply(kind, q.id, w.Field, w.After, now)
		}
	}
	f.state.Writes = append(f.state.Writes, writes...)
	f.state.Writes = f.state.Writes[max(len(f.state.Writes)-20_000, 0):]
	if f.opts.File != "" && !validate {
		if err := f.save(); err != nil {
			return http.StatusInternalServerError, trouble{Code: 2, Message: err.Error()}.body()
		}
	}
	return http.StatusOK, map[string]any{"success": true}
}

func within(times []time.Time, now time.Time, d time.Duration) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) >= d })
}
