package fakemeta

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// PageConfig describes a page. Only ID must be set.
type PageConfig struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Tokens are the page's own.
	Tokens []string `json:"-"`
	// AppSecret signs what is sent to Target, the address that the app subscribed with.
	AppSecret string `json:"-"`
	Target    string `json:"-"`
}

// Lead is what somebody filled in at an ad, or, where Organic, without one.
type Lead struct {
	ID      string    `json:"id"`
	PageID  string    `json:"page_id"`
	AdID    string    `json:"ad_id"`
	FormID  string    `json:"form_id"`
	Organic bool      `json:"organic"`
	Email   string    `json:"email"`
	Phone   string    `json:"phone"`
	Created time.Time `json:"created"`
}

// page is one page and whether the app gets its leads.
type page struct {
	Config     PageConfig `json:"config"`
	Subscribed bool       `json:"subscribed"`
}

// leadLife is how long Meta has a lead.
const leadLife = 90 * 24 * time.Hour

func pageKey(id string) string { return "page " + id }

// ConnectPage adds a page with these settings.
func (f *Fake) ConnectPage(c PageConfig) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.Name = or(c.Name, "Page "+c.ID)
	if f.state.Pages[c.ID] == nil {
		f.state.Pages[c.ID] = &page{}
	}
	f.state.Pages[c.ID].Config = c
	f.accept(pageKey(c.ID), c.Tokens)
}

// SubmitLead adds a lead of the page and returns its id, made up where it has none.
func (f *Fake) SubmitLead(pageID string, l Lead) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Pages[pageID] == nil {
		return "", errors.New("no such page")
	}
	l.ID, l.PageID, l.FormID = or(l.ID, f.newID()), pageID, or(l.FormID, "1"+pageID)
	l.Created = or(l.Created, f.opts.Now()).UTC().Truncate(time.Second)
	f.state.Leads[l.ID] = &l
	return l.ID, nil
}

// DropLead makes a lead unknown, as Meta does after 90 days.
func (f *Fake) DropLead(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.state.Leads, id)
}

// Notification is the body that Meta posts for leads of one page.
func (f *Fake) Notification(ids ...string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	byPage := map[string][]any{}
	for _, id := range ids {
		l := f.state.Leads[id]
		value := map[string]any{"leadgen_id": l.ID, "page_id": l.PageID, "form_id": l.FormID, "created_time": l.Created.Unix()}
		if !l.Organic {
			value["ad_id"], value["adgroup_id"] = l.AdID, l.AdID
		}
		byPage[l.PageID] = append(byPage[l.PageID], map[string]any{"field": "leadgen", "value": value})
	}
	entries := []any{}
	for _, id := range sorted(f.state.Pages) {
		if changes := byPage[id]; changes != nil {
			entries = append(entries, map[string]any{"id": id, "time": f.opts.Now().Unix(), "changes": changes})
		}
	}
	body, _ := json.Marshal(map[string]any{"object": "page", "entry": entries})
	return body
}

// SignBody is the value of X-Hub-Signature-256 under the app's secret.
func SignBody(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Notify posts leads of a page to its target, signed, and returns the answer's status.
func (f *Fake) Notify(ctx context.Context, pageID string, ids ...string) (int, error) {
	f.mu.Lock()
	p := f.state.Pages[pageID]
	f.mu.Unlock()
	switch {
	case p == nil:
		return 0, errors.New("no such page")
	case !p.Subscribed:
		return 0, errors.New("the page is not subscribed to leadgen")
	case p.Config.Target == "":
		return 0, errors.New("the app has no webhook")
	}
	body := f.Notification(ids...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Config.Target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hub-Signature-256", SignBody(p.Config.AppSecret, body))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// ofPage answers a request for a page or a lead. f.mu is held.
func (f *Fake) ofPage(q *question, pageID, route string) (int, any) {
	p := f.state.Pages[pageID]
	if allowed := f.tokens[q.token]; !slices.Contains(allowed, pageKey(pageID)) {
		return no(200, 0, "(#200) Requires leads_retrieval permission to manage the object")
	}
	switch {
	case route == "page" && q.edge == "" && q.r.Method == http.MethodGet:
		return http.StatusOK, only(q, map[string]any{"id": pageID, "name": p.Config.Name})
	case route == "page" && q.edge == "subscribed_apps" && q.r.Method == http.MethodPost:
		if q.r.Form.Get("subscribed_fields") != "leadgen" {
			return no(100, 0, "(#100) Param subscribed_fields is required")
		}
		p.Subscribed = true
		if err := f.save(); err != nil {
			return http.StatusInternalServerError, trouble{Code: 1, Message: err.Error()}.body()
		}
		return http.StatusOK, map[string]any{"success": true}
	case route == "lead" && q.edge == "" && q.r.Method == http.MethodGet:
		l := f.state.Leads[q.id]
		if f.opts.Now().Sub(l.Created) > leadLife {
			return missing(q.id)
		}
		fields := []any{map[string]any{"name": "full_name", "values": []string{"A Person"}}}
		for _, one := range [][2]string{{"email", l.Email}, {"phone_number", l.Phone}} {
			if one[1] != "" {
				fields = append(fields, map[string]any{"name": one[0], "values": []string{one[1]}})
			}
		}
		all := map[string]any{
			"id": l.ID, "form_id": l.FormID, "created_time": l.Created.Format(stamp), "is_organic": l.Organic,
			"platform": "fb", "field_data": fields,
		}
		if ad := f.state.Ads[l.AdID]; !l.Organic {
			all["ad_id"] = l.AdID
			if ad != nil {
				all["adset_id"], all["campaign_id"] = ad.AdSetID, ad.CampaignID
			}
		}
		return http.StatusOK, only(q, all)
	}
	return no(100, 0, "(#100) Tried accessing nonexisting field ("+strconv.Quote(q.edge)+")")
}

// leadControls are the routes under /control/pages/.
func (f *Fake) leadControls(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/pages/{page}/leads", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		found := []*Lead{}
		for _, id := range sorted(f.state.Leads) {
			if l := f.state.Leads[id]; l.PageID == r.PathValue("page") {
				found = append(found, l)
			}
		}
		send(w, http.StatusOK, map[string]any{"leads": found})
	})
	mux.HandleFunc("POST /control/pages/{page}/leads", func(w http.ResponseWriter, r *http.Request) {
		var l Lead
		err := decode(r, &l)
		var id string
		if err == nil {
			id, err = f.SubmitLead(r.PathValue("page"), l)
		}
		if err == nil {
			err = f.Save()
		}
		if err != nil {
			send(w, http.StatusBadRequest, problem(err))
			return
		}
		status, err := f.Notify(r.Context(), r.PathValue("page"), id)
		answer := map[string]any{"id": id, "webhook_status": status}
		if err != nil {
			answer["webhook_error"] = err.Error()
		}
		send(w, http.StatusOK, answer)
	})
	mux.HandleFunc("POST /control/pages/{page}/leads/{lead}/notify", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		l := f.state.Leads[r.PathValue("lead")]
		f.mu.Unlock()
		if l == nil || l.PageID != r.PathValue("page") {
			send(w, http.StatusNotFound, problem(errors.New("no such lead")))
			return
		}
		status, err := f.Notify(r.Context(), l.PageID, l.ID)
		if err != nil {
			send(w, http.StatusBadRequest, problem(err))
			return
		}
		send(w, http.StatusOK, map[string]any{"id": l.ID, "webhook_status": status})
	})
}
