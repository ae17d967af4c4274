package fakemeta

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// begin starts a report.
func (f *Fake) begin(account string, form url.Values) (int, any) {
	rep := &report{ID: f.newID(), Account: account, Params: first(form)}
	if all := f.state.Reports[""]; all != nil {
		rep.Status = all.Status
	}
	f.state.Reports[rep.ID] = rep
	return http.StatusOK, map[string]any{"report_run_id": rep.ID}
}

// look tells how far a report is: further with each look.
func (f *Fake) look(rep *report) map[string]any {
	rep.Looks++
	status, percent := "Job Running", min(100*rep.Looks/f.opts.ReportLooks, 99)
	if rep.Looks >= f.opts.ReportLooks {
		status = or(rep.Status, "Job Completed")
		if status == "Gone" {
			status = "Job Completed"
		}
		if status == "Job Completed" {
			percent = 100
		}
	}
	return map[string]any{"id": rep.ID, "account_id": rep.Account, "async_status": status, "async_percent_completion": percent}
}

// insights answers the days that params ask for.
func (f *Fake) insights(q *question, account string, params map[string]string, limited bool) (int, any) {
	var span struct{ Since, Until string }
	if err := json.Unmarshal([]byte(params["time_range"]), &span); err != nil || params["level"] != "ad" || params["time_increment"] != "1" {
		return no(100, 0, "(#100) The fake knows insights by ad and day only, with a time_range")
	}
	a := f.state.Accounts[account]
	var found []*Insight
	for _, key := range sorted(a.Insights) {
		row := a.Insights[key]
		ad := f.state.Ads[row.AdID]
		if row.Day < span.Since || row.Day > span.Until || ad != nil && ad.Status == "DELETED" {
			continue
		}
		found = append(found, row)
	}
	if limited && f.opts.MaxRows > 0 && len(found) > f.opts.MaxRows {
		return http.StatusInternalServerError, trouble{Code: 1, Subcode: 99, Message: "Please reduce the amount of data you're asking for, then retry your request"}.body()
	}
	from, to, paging := f.page(q, len(found))
	data := []any{}
	for _, row := range found[from:to] {
		data = append(data, f.row(row))
	}
	return http.StatusOK, map[string]any{"data": data, "paging": paging}
}

// row is a day as Meta writes it: every figure a text.
func (f *Fake) row(i *Insight) map[string]any {
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	actions := func(from map[string]float64) []any {
		list := []any{}
		for _, kind := range sorted(from) {
			list = append(list, map[string]any{"action_type": kind, "value": strconv.FormatFloat(from[kind], 'f', -1, 64), "7d_click": "1"})
		}
		return list
	}
	row := map[string]any{
		"ad_id": i.AdID, "date_start": i.Day, "date_stop": i.Day, "impressions": text(i.Impressions), "clicks": text(i.Clicks),
		"reach": text(i.Reach), "frequency": strconv.FormatFloat(i.Frequency, 'f', 6, 64), "spend": or(i.Spend, "0"),
	}
	if i.LinkClicks > 0 {
		row["inline_link_clicks"] = text(i.LinkClicks)
	}
	if len(i.Actions) > 0 {
		row["actions"] = actions(i.Actions)
	}
	if len(i.Values) > 0 {
		row["action_values"] = actions(i.Values)
	}
	if ad := f.state.Ads[i.AdID]; ad != nil {
		row["adset_id"], row["campaign_id"] = ad.AdSetID, ad.CampaignID
	}
	return row
}

// truncated sends half of a body whose length was already promised.
type truncated struct{ http.ResponseWriter }

func (t *truncated) Write(body []byte) (int, error) {
	_, _ = t.ResponseWriter.Write(body[:len(body)/2])
	_ = http.NewResponseController(t.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func below(path string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return rest
}
