package clicks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// beacon is the body that a landing page sends, as it is documented. Only the
// first three members can get a click refused; every other that cannot be used is
// dropped and named in the answer. The body is open: members that are not named
// here are stored beside the click. null and "" mean that a member is not there,
// since that is what a page's URLSearchParams gives.
type beacon struct {
	_                     struct{}       `additionalProperties:"true"`
	TenantID              string         `json:"tenant_id" minLength:"1" maxLength:"100" doc:"The key's tenant."`
	AdID                  string         `json:"ad_id" minLength:"1" maxLength:"128" pattern:"\\S" patternDescription:"text that is not blank" doc:"A macro that nobody filled in, such as {{ad.id}}, is no ad: the click is stored and credited with nothing."`
	CampaignID            string         `json:"campaign_id" minLength:"1" maxLength:"128" pattern:"\\S" patternDescription:"text that is not blank"`
	PublishableKey        *string        `json:"publishable_key,omitempty" nullable:"true" maxLength:"200" doc:"Or in the header X-Publishable-Key. Never a server key."`
	ClickID               *string        `json:"click_id,omitempty" nullable:"true" maxLength:"200" doc:"Your own id of the click; made where absent. Known again, it is the same click."`
	FBCLID                *string        `json:"fbclid,omitempty" nullable:"true" maxLength:"1024"`
	GCLID                 *string        `json:"gclid,omitempty" nullable:"true" maxLength:"1024"`
	GBRAID                *string        `json:"gbraid,omitempty" nullable:"true" maxLength:"1024"`
	WBRAID                *string        `json:"wbraid,omitempty" nullable:"true" maxLength:"1024"`
	TTCLID                *string        `json:"ttclid,omitempty" nullable:"true" maxLength:"1024"`
	FBC                   *string        `json:"fbc,omitempty" nullable:"true" maxLength:"1100" doc:"The cookie _fbc, fb.1.<ms>.X: the click id X."`
	FBP                   *string        `json:"fbp,omitempty" nullable:"true" maxLength:"200" doc:"The cookie _fbp; not stored without consent."`
	IPAddress             *string        `json:"ip_address,omitempty" nullable:"true" maxLength:"64" doc:"With a server key: the visitor's. With a publishable key the request's own counts."`
	UserAgent             *string        `json:"user_agent,omitempty" nullable:"true" maxLength:"1024" doc:"As ip_address."`
	DeviceType            *string        `json:"device_type,omitempty" nullable:"true" maxLength:"64"`
	FingerprintComponents map[string]any `json:"fingerprint_components,omitempty" maxProperties:"100" doc:"Only their salted hash is stored."`
	FingerprintHash       *string        `json:"fingerprint_hash,omitempty" nullable:"true" maxLength:"128" doc:"Where you hash the components yourself; it counts where both are given."`
	LandingPageURL        *string        `json:"landing_page_url,omitempty" nullable:"true" maxLength:"4096"`
	UTMSource             *string        `json:"utm_source,omitempty" nullable:"true" maxLength:"500"`
	UTMMedium             *string        `json:"utm_medium,omitempty" nullable:"true" maxLength:"500"`
	UTMCampaign           *string        `json:"utm_campaign,omitempty" nullable:"true" maxLength:"500"`
	UTMTerm               *string        `json:"utm_term,omitempty" nullable:"true" maxLength:"500"`
	UTMContent            *string        `json:"utm_content,omitempty" nullable:"true" maxLength:"500"`
	Consent               any            `json:"consent,omitempty" doc:"Absent: not asked. true, \"granted\" and 1 are yes; anything else is no, and then no address, agent or fingerprint is stored."`
	ClickedAt             any            `json:"clicked_at,omitempty" doc:"RFC 3339, or Unix seconds or milliseconds. With a server key the click's time, at most 7 days ago; with a publishable key it is stored and decides nothing."`
	Timestamp             any            `json:"timestamp,omitempty" doc:"The same as clicked_at."`
}

const (
	maxBody = 64 << 10 // what sendBeacon itself refuses to exceed
	// maxUnkeyed is what is read of a body that must hold the key itself.
	maxUnkeyed = 32 << 10
	maxExtra   = 50
	maxDepth   = 6
	maxName    = 100
	maxAge     = attribution.Window // an older click could not be credited any more
)

// rules are the beacon's own tags, as a schema: what is documented is what is checked.
var (
	registry = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	rules    = registry.Schema(reflect.TypeFor[beacon](), false, "Beacon")
	answers  = registry.Schema(reflect.TypeFor[answer](), false, "BeaconAnswer")
)

func describeBeacon(op *huma.Operation) {
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: rules}, "text/plain": {Schema: rules},
	}}
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = append(op.Parameters,
		&huma.Param{
			Name: "X-Publishable-Key", In: "header", Description: "The tenant's publishable key, here or in the body.",
			Schema: text,
		},
		&huma.Param{
			Name: "Authorization", In: "header",
			Description: "Bearer and a server key, which begins with gvs_, instead: for servers, never from a web page.", Schema: text,
		},
	)
	op.Responses["200"] = &huma.Response{
		Description: "The click is recorded.", Content: map[string]*huma.MediaType{"application/json": {Schema: answers}},
	}
}

// readBody returns the members of the request's JSON object, of whichever
// content type a page can send it as. Members that are null are left out.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (map[string]any, error) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if kind, _, _ = mime.ParseMediaType(kind); kind != "application/json" && kind != "text/plain" {
			return nil, serve.Problem(http.StatusUnsupportedMediaType, "send JSON, as application/json or, from sendBeacon, as text/plain")
		}
	}
	data, err := serve.ReadBody(w, r, limit)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	var (
		body   map[string]any
		wrong  *json.UnmarshalTypeError
		reader = json.NewDecoder(bytes.NewReader(data))
	)
	reader.UseNumber() // an id of 17 digits or a number out of range costs its member, not the click
	err = reader.Decode(&body)
	if err == nil && reader.More() {
		return nil, serve.Problem(http.StatusBadRequest, "the body holds more than one JSON value")
	}
	switch {
	case errors.As(err, &wrong), err == nil && body == nil:
		return nil, fault.Field("body", "must be a JSON object")
	case err != nil:
		return nil, serve.Problem(http.StatusBadRequest, "the body is not valid JSON")
	}
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body, nil
}

// parsed is a beacon's click and the members that could not be used.
type parsed struct {
	tenant  string
	click   attribution.Click
	dropped []string
}

// drop notes that a member cannot be used, once.
func (p *parsed) drop(name string) {
	if !slices.Contains(p.dropped, name) {
		p.dropped = append(p.dropped, name)
	}
}

// parseBeacon returns the click that body describes, or an Invalid fault naming
// every field that a click cannot do without and that breaks a rule.
func parseBeacon(body map[string]any, from sender, now time.Time) (*parsed, error) {
	required := map[string]any{}
	for _, name := range rules.Required {
		if v, ok := body[name]; ok {
			required[name] = v
		}
	}
	result := &huma.ValidateResult{}
	huma.Validate(registry, rules, huma.NewPathBuffer([]byte("body"), 4), huma.ModeWriteToServer, required, result)
	for _, name := range rules.Required {
		if text, _ := body[name].(string); strings.ContainsRune(text, 0) {
			result.Errors = append(result.Errors, &huma.ErrorDetail{Location: "body." + name, Message: "must not hold the character NUL"})
		}
	}
	if len(result.Errors) > 0 {
		return nil, huma.NewError(http.StatusUnprocessableEntity, "validation failed", result.Errors...)
	}
	p := &parsed{tenant: body["tenant_id"].(string)}
	c := &p.click
	c.AdID, c.CampaignID = strings.TrimSpace(body["ad_id"].(string)), strings.TrimSpace(body["campaign_id"].(string))
	for name, id := range map[string]*string{"ad_id": &c.AdID, "campaign_id": &c.CampaignID} {
		if unfilled(*id) {
			*id = ""
			p.drop(name)
		}
	}
	p.readIDs(body)
	p.readConsent(body)
	p.readVisitor(body, from, now)
	c.Extra = p.others(body)
	slices.Sort(p.dropped)
	return p, nil
}

// readIDs takes the ids that a later conversion may carry.
func (p *parsed) readIDs(body map[string]any) {
	c := &p.click
	for name, id := range map[string]*string{
		"click_id": &c.ClickID, "fbclid": &c.FBCLID, "gclid": &c.GCLID, "gbraid": &c.GBRAID, "wbraid": &c.WBRAID, "ttclid": &c.TTCLID,
	} {
		*id = p.text(body, name)
		if unfilled(*id) {
			*id = ""
			p.drop(name)
		}
	}
	c.FBCLID = attribution.FBCLIDOf(c.FBCLID)
	if fbc := p.text(body, "fbc"); fbc != "" {
		switch id, ok := attribution.ParseFBC(fbc); {
		case !ok:
			p.drop("fbc")
		case c.FBCLID == "":
			c.FBCLID = id
		case c.FBCLID != id: // the cookie is of an earlier click; the link speaks of this one
			p.drop("fbc")
		}
	}
	if c.ClickID == "" {
		c.ClickID = uuid.Must(uuid.NewV7()).String()
	}
}

// readConsent reads a tri-state: not asked, yes, or no.
func (p *parsed) readConsent(body map[string]any) {
	v, asked := body["consent"]
	if !asked || v == "" {
		return
	}
	yes := v == true || v == "granted" || v == json.Number("1")
	if !yes && v != false {
		p.drop("consent")
	}
	p.click.Consent = &yes
}

// readVisitor takes when and from where the click came: of a page's beacon the
// request's own time, address and agent, of a server's what the body says.
func (p *parsed) readVisitor(body map[string]any, from sender, now time.Time) {
	c := &p.click
	c.ClickedAt = now
	c.IP, c.UserAgent = from.ip, from.agent
	address, agent := p.text(body, "ip_address"), p.text(body, "user_agent")
	if from.server {
		c.IP, c.UserAgent = "", agent
		if address != "" {
			if c.IP = addressOf(address); c.IP == "" {
				p.drop("ip_address")
			}
		}
	} else {
		for name, said := range map[string]string{"ip_address": address, "user_agent": agent} {
			if said != "" {
				p.drop(name)
			}
		}
	}
	c.FingerprintHash = p.text(body, "fingerprint_hash")
	if v, given := body["fingerprint_components"]; given && v != "" {
		components, ok := v.(map[string]any)
		if !ok || len(components) > 100 || unsound(components, 1) {
			p.drop("fingerprint_components")
		} else if c.FingerprintHash == "" {
			c.FingerprintHash = attribution.FingerprintHash(components, strings.ToLower(p.tenant))
		}
	}
	c.FBP = p.text(body, "fbp")
	c.DeviceType, c.LandingPageURL = p.text(body, "device_type"), p.text(body, "landing_page_url")
	p.readTime(body, from, now)
}

func (p *parsed) readTime(body map[string]any, from sender, now time.Time) {
	for _, name := range []string{"clicked_at", "timestamp"} {
		v, given := body[name]
		if !given || v == "" {
			continue
		}
		at, ok := timeOf(v)
		if !ok || at.Before(now.Add(-maxAge)) {
			p.drop(name)
			continue
		}
		if at.After(now) {
			at = now // a clock that is ahead would make the click come after its conversion
		}
		if p.click.ClaimedAt == nil {
			p.click.ClaimedAt = &at
			if from.server {
				p.click.ClickedAt = at
			}
		}
	}
}

// text returns a member's text. One that is no text, too long for its rule or not
// storable is dropped.
func (p *parsed) text(body map[string]any, name string) string {
	v, given := body[name]
	if !given {
		return ""
	}
	text, ok := v.(string)
	longest := rules.Properties[name].MaxLength
	if !ok || unsound(text, 1) || longest != nil && len([]rune(text)) > *longest {
		p.drop(name)
		return ""
	}
	return strings.TrimSpace(text)
}

// others returns the members that have no column of their own, up to maxExtra.
// Without consent only the campaign's own labels are among them.
func (p *parsed) others(body map[string]any) map[string]any {
	extra := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		label := strings.HasPrefix(name, "utm_")
		if !label && (columns[name] || p.click.Consent != nil && !*p.click.Consent) {
			continue
		}
		if columns[name] { // a known label
			if text := p.text(body, name); text != "" || body[name] == "" {
				extra[name] = text
			}
			continue
		}
		switch {
		case len(name) > maxName || unsound(name, 1):
			p.drop("a member whose name cannot be used")
		case unsound(body[name], 1) || len(extra) >= maxExtra:
			p.drop(name)
		default:
			extra[name] = body[name]
		}
	}
	return extra
}

// columns are the beacon's members that are stored in their own place, or not at all.
var columns = func() map[string]bool {
	names := map[string]bool{}
	for name := range rules.Properties {
		names[name] = true
	}
	return names
}()

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
