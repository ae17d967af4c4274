package fakemeta

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var versionForm = regexp.MustCompile(`^v[0-9]+\.[0-9]$`)

// ServeHTTP answers as Meta does, and as a person's switchboard under /control/.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/") {
		f.control.ServeHTTP(w, r)
		return
	}
	version, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !versionForm.MatchString(version) {
		refuse(w, http.StatusBadRequest, trouble{Code: 2635, Message: "(#2635) You are calling a deprecated version of the Ads API."})
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, trouble{Code: 100, Message: "The body cannot be read"})
		return
	}
	id, edge, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	q := &question{fake: f, w: w, r: r, id: id, edge: edge, token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	fault := f.struck(q)
	if fault != nil && !fault.After && fault.serve(w, r) {
		return
	}
	status, body := f.answer(q)
	if fault != nil && fault.After && fault.serve(w, r) {
		return
	}
	raw, _ := json.Marshal(body)
	if fault != nil && fault.Truncate {
		w = &truncated{w}
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// question is one request.
type question struct {
	fake     *Fake
	w        http.ResponseWriter
	r        *http.Request
	id, edge string
	token    string
}

// trouble is Meta's error.
type trouble struct {
	Message   string `json:"message"`
	Type      string `json:"type"`
	Code      int    `json:"code"`
	Subcode   int    `json:"error_subcode,omitempty"`
	Transient bool   `json:"is_transient"`
	Trace     string `json:"fbtrace_id"`
}

func (t trouble) body() map[string]any {
	t.Type, t.Trace = or(t.Type, "OAuthException"), or(t.Trace, "A"+strconv.FormatInt(time.Now().UnixNano(), 36))
	return map[string]any{"error": t}
}

func refuse(w http.ResponseWriter, status int, t trouble) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(t.body())
}

func no(code, subcode int, message string) (int, any) {
	return http.StatusBadRequest, trouble{Code: code, Subcode: subcode, Message: message}.body()
}

func missing(id string) (int, any) {
	return no(100, 33, "Unsupported request. Object with ID '"+id+"' does not exist, cannot be loaded due to missing permissions, or does not support this operation.")
}

// answer holds the lock: a whole answer is one moment.
func (f *Fake) answer(q *question) (status int, body any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.r.Form.Has("access_token") {
		return no(190, 0, "The fake takes no token in an address or a body: it would end in a log")
	}
	allowed, ok := f.tokens[q.token]
	if !ok {
		return no(190, 463, "Error validating access token: Session has expired. Malformed access token "+q.token)
	}
	owner, route := f.owner(q)
	f.calls[q.r.Method+" "+or(q.edge, route)]++
	if owner == "" {
		return missing(q.id)
	}
	if route == "page" || route == "lead" {
		return f.ofPage(q, owner, route)
	}
	a := f.state.Accounts[owner]
	q.w.Header().Set("X-Fb-Trace-Id", "T"+strconv.FormatInt(f.opts.Now().UnixNano(), 36))
	a.Usage.writeTo(q.w.Header(), owner)
	if !slices.Contains(allowed, owner) {
		return no(200, 0, "(#200) Ad account owner has NOT grant ads_management or ads_read permission")
	}
	if q.r.Method == http.MethodPost && !f.inTime(owner) {
		return no(613, 5044001, "(#613) Calls to this api have exceeded the rate limit.")
	}
	switch {
	case q.r.Method == http.MethodPost && route == "account" && q.edge == "insights":
		return f.begin(owner, q.r.Form)
	case q.r.Method == http.MethodPost:
		return f.write(q, route)
	case route == "account" && q.edge == "":
		c := a.Config
		return http.StatusOK, only(q, map[string]any{
			"id": "act_" + c.ID, "account_id": c.ID, "name": c.Name, "currency": c.Currency, "timezone_name": c.TimeZone, "account_status": c.Status,
		})
	case route == "account" && q.edge == "insights":
		return f.insights(q, owner, first(q.r.Form), true)
	case route == "account":
		return f.list(q, owner)
	case route == "report" && q.edge == "insights":
		rep := f.state.Reports[q.id]
		if rep.Status == "Gone" {
			return missing(q.id)
		}
		return f.insights(q, owner, rep.Params, false)
	case route == "report":
		return http.StatusOK, f.look(f.state.Reports[q.id])
	}
	return http.StatusOK, only(q, f.object(route, q.id, true))
}

// owner is whose the object is, and what it is; "" where nobody's.
func (f *Fake) owner(q *question) (account, route string) {
	s := &f.state
	switch {
	case s.Accounts[digits(q.id)] != nil && strings.HasPrefix(q.id, "act_"):
		return digits(q.id), "account"
	case s.Pages[q.id] != nil:
		return q.id, "page"
	case s.Leads[q.id] != nil:
		return s.Leads[q.id].PageID, "lead"
	case s.Campaigns[q.id] != nil:
		return s.Campaigns[q.id].AccountID, "campaign"
	case s.AdSets[q.id] != nil:
		return s.AdSets[q.id].AccountID, "adset"
	case s.Ads[q.id] != nil:
		return s.Ads[q.id].AccountID, "ad"
	case q.id != "" && s.Reports[q.id] != nil:
		return s.Reports[q.id].Account, "report"
	}
	return "", "unknown"
}

// inTime counts a POST against the account's second.
func (f *Fake) inTime(account string) bool {
	now := f.opts.Now()
	recent := slices.DeleteFunc(f.posts[account], func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(recent) >= f.opts.PostsPerSecond {
		f.posts[account] = recent
		return false
	}
	f.posts[account] = append(recent, now)
	return true
}

// only keeps the fields that were asked for.
func only(q *question, all map[string]any) map[string]any {
	fields := q.r.Form.Get("fields")
	if fields == "" {
		return map[string]any{"id": all["id"]}
	}
	kept := map[string]any{"id": all["id"]}
	for _, field := range topLevel(fields) {
		name := field
		if i := strings.IndexAny(field, ".{("); i >= 0 {
			name = field[:i]
		}
		if v, ok := all[name]; ok && v != nil {
			kept[name] = v
		}
	}
	return kept
}

// topLevel splits a field list at the commas that are in no braces.
func topLevel(fields string) []string {
	depth := 0
	return strings.FieldsFunc(fields, func(r rune) bool {
		switch r {
		case '{', '(':
			depth++
		case '}', ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}

func first(form url.Values) map[string]string {
	one := map[string]string{}
	for name := range maps.Keys(form) {
		one[name] = form.Get(name)
	}
	return one
}

// writeTo writes the usage headers.
func (u Usage) writeTo(h http.Header, account string) {
	put := func(name string, v any) {
		raw, _ := json.Marshal(v)
		h.Set(name, string(raw))
	}
	if u.App > 0 {
		put("X-App-Usage", map[string]any{"call_count": u.App, "total_cputime": 1, "total_time": 2})
	}
	if u.Account > 0 {
		put("X-Ad-Account-Usage", map[string]any{
			"acc_id_util_pct": u.Account, "reset_time_duration": u.ResetSeconds,
			"ads_api_access_tier": "standard_access",
		})
	}
	if u.Insights > 0 {
		put("X-FB-Ads-Insights-Throttle", map[string]any{"app_id_util_pct": 0, "acc_id_util_pct": u.Insights})
	}
	if u.Management+u.Insights > 0 {
		entry := func(kind string, percent float64) map[string]any {
			return map[string]any{
				"type": kind, "call_count": percent, "total_cputime": 1, "total_time": 1,
				"estimated_time_to_regain_access": u.RegainMinutes, "ads_api_access_tier": "standard_access",
			}
		}
		list := []any{}
		if u.Management > 0 {
			list = append(list, entry("ads_management", u.Management))
		}
		if u.Insights > 0 {
			list = append(list, entry("ads_insights", u.Insights))
		}
		put("X-Business-Use-Case-Usage", map[string]any{account: list})
	}
}
