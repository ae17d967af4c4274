package clicks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// beacon is what a landing page tells. The body is open: what is not named here
// is kept beside the click. null and "" are the same as not said, because that
// is what a page's URLSearchParams gives for a parameter that is not there.
type beacon struct {
	_                     struct{}       `additionalProperties:"true"`
	TenantID              string         `json:"tenant_id" minLength:"1" maxLength:"100" doc:"The publishable key's tenant."`
	AdID                  string         `json:"ad_id" minLength:"1" maxLength:"128" pattern:"\\S" patternDescription:"text that is not blank"`
	CampaignID            string         `json:"campaign_id" minLength:"1" maxLength:"128" pattern:"\\S" patternDescription:"text that is not blank"`
	PublishableKey        *string        `json:"publishable_key,omitempty" nullable:"true" maxLength:"200" doc:"Or in the header X-Publishable-Key."`
	ClickID               *string        `json:"click_id,omitempty" nullable:"true" maxLength:"200" doc:"Your own id of the click; made where absent. Known again, it is the same click."`
	FBCLID                *string        `json:"fbclid,omitempty" nullable:"true" maxLength:"1024"`
	GCLID                 *string        `json:"gclid,omitempty" nullable:"true" maxLength:"1024"`
	IPAddress             *string        `json:"ip_address,omitempty" nullable:"true" maxLength:"64" doc:"Absent: the caller's."`
	UserAgent             *string        `json:"user_agent,omitempty" nullable:"true" maxLength:"1024" doc:"Absent: the caller's."`
	DeviceType            *string        `json:"device_type,omitempty" nullable:"true" maxLength:"64"`
	FingerprintComponents map[string]any `json:"fingerprint_components,omitempty" maxProperties:"100" doc:"Only their salted hash is kept."`
	FingerprintHash       *string        `json:"fingerprint_hash,omitempty" nullable:"true" maxLength:"128" doc:"Where you hash the components yourself; it counts where both are given."`
	LandingPageURL        *string        `json:"landing_page_url,omitempty" nullable:"true" maxLength:"4096"`
	UTMSource             *string        `json:"utm_source,omitempty" nullable:"true" maxLength:"500"`
	UTMMedium             *string        `json:"utm_medium,omitempty" nullable:"true" maxLength:"500"`
	UTMCampaign           *string        `json:"utm_campaign,omitempty" nullable:"true" maxLength:"500"`
	UTMTerm               *string        `json:"utm_term,omitempty" nullable:"true" maxLength:"500"`
	UTMContent            *string        `json:"utm_content,omitempty" nullable:"true" maxLength:"500"`
	Consent               *bool          `json:"consent,omitempty" nullable:"true" doc:"false: no address, agent or fingerprint is stored."`
	ClickedAt             *string        `json:"clicked_at,omitempty" nullable:"true" format:"date-time" doc:"For a beacon that waited to be sent; absent: now."`
	Timestamp             *string        `json:"timestamp,omitempty" nullable:"true" format:"date-time" doc:"The same as clicked_at."`

	at    time.Time
	extra map[string]any
}

const (
	maxBody  = 64 << 10 // what sendBeacon itself refuses to exceed
	maxExtra = 50
	maxDepth = 6
	// A page's clock may be a little ahead; an older click could not be credited any more.
	maxAhead = 5 * time.Minute
	maxAge   = attribution.Window
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
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: "X-Publishable-Key", In: "header", Description: "The tenant's publishable key, here or in the body.", Schema: &huma.Schema{Type: huma.TypeString},
	})
	op.Responses["200"] = &huma.Response{
		Description: "The click is recorded.", Content: map[string]*huma.MediaType{"application/json": {Schema: answers}},
	}
}

// readBody returns the members of the request's JSON object, of whichever
// content type a page can send it as.
func readBody(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if kind, _, _ = mime.ParseMediaType(kind); kind != "application/json" && kind != "text/plain" {
			return nil, serve.Problem(http.StatusUnsupportedMediaType, "send JSON, as application/json or, from sendBeacon, as text/plain")
		}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	var (
		body  map[string]any
		wrong *json.UnmarshalTypeError
	)
	switch err := json.Unmarshal(data, &body); {
	case errors.As(err, &wrong) && strings.HasPrefix(wrong.Value, "number "):
		return nil, fault.Field("body", "holds a number that is not finite")
	case errors.As(err, &wrong), err == nil && body == nil:
		return nil, fault.Field("body", "must be a JSON object")
	case err != nil:
		return nil, serve.Problem(http.StatusBadRequest, "the body is not valid JSON")
	}
	return body, nil
}

// parseBeacon returns what body tells, or an Invalid fault naming every field
// that breaks a rule.
func parseBeacon(body map[string]any, now time.Time) (*beacon, error) {
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	result := &huma.ValidateResult{}
	huma.Validate(registry, rules, huma.NewPathBuffer([]byte("body"), 4), huma.ModeWriteToServer, body, result)
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if rule := unsound(body[name], 1); rule != "" || unsound(name, 1) != "" || len(name) > 100 {
			result.Errors = append(result.Errors, &huma.ErrorDetail{Location: path(name), Message: or(rule, "is not a usable name")})
		}
	}
	if len(result.Errors) > 0 {
		return nil, huma.NewError(http.StatusUnprocessableEntity, "validation failed", result.Errors...)
	}
	b := &beacon{}
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, b)
	}
	if err != nil {
		return nil, fmt.Errorf("read beacon: %w", err) // the schema has let pass what the type does not hold
	}
	if b.IPAddress != nil && *b.IPAddress != "" {
		if _, ok := attribution.NormaliseIP(*b.IPAddress); !ok {
			return nil, fault.Field("body.ip_address", "must be an IPv4 or IPv6 address")
		}
	}
	if b.at, err = b.clickedAt(now); err != nil {
		return nil, err
	}
	b.extra, err = b.others(body)
	return b, err
}

// clickedAt returns when the click was: not later than now, whatever the page's
// clock says, since otherwise its conversion would seem to come before it.
func (b *beacon) clickedAt(now time.Time) (time.Time, error) {
	field, text := "body.clicked_at", b.ClickedAt
	if text == nil {
		field, text = "body.timestamp", b.Timestamp
	}
	if text == nil {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, *text)
	switch {
	case err != nil:
		return at, fault.Field(field, "must be an RFC 3339 time")
	case at.After(now.Add(maxAhead)):
		return at, fault.Field(field, "must not be more than 5 minutes in the future")
	case at.Before(now.Add(-maxAge)):
		return at, fault.Field(field, "must not be more than 7 days ago")
	case at.After(now):
		return now, nil
	}
	return at, nil
}

// others returns the members that have no column of their own. Without consent
// only the campaign's own labels are among them.
func (b *beacon) others(body map[string]any) (map[string]any, error) {
	extra := map[string]any{}
	for name, value := range body {
		label := strings.HasPrefix(name, "utm_")
		if !label && (columns[name] || b.Consent != nil && !*b.Consent) {
			continue
		}
		extra[name] = value
	}
	if len(extra) > maxExtra {
		return nil, fault.Field("body", fmt.Sprintf("must have at most %d members of its own", maxExtra))
	}
	return extra, nil
}

// columns are the beacon's members that are stored in their own place, or not at all.
var columns = func() map[string]bool {
	names := map[string]bool{}
	for name := range rules.Properties {
		names[name] = true
	}
	return names
}()

// unsound says what keeps a value from being stored, or "".
func unsound(v any, depth int) string {
	if depth > maxDepth {
		return "is nested too deeply"
	}
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return "must not hold the character NUL"
		}
	case []any:
		for _, one := range v {
			if rule := unsound(one, depth+1); rule != "" {
				return rule
			}
		}
	case map[string]any:
		for name, one := range v {
			if rule := or(unsound(name, depth), unsound(one, depth+1)); rule != "" {
				return rule
			}
		}
	}
	return ""
}

func path(name string) string {
	if len(name) > 100 || unsound(name, 1) != "" {
		return "body"
	}
	return "body." + name
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// click is the beacon as a click to record. Its fingerprint is salted with the
// tenant, so that no two tenants can put theirs together.
func (b *beacon) click(tenant string) attribution.Click {
	hash := attribution.FingerprintHash(b.FingerprintComponents, tenant)
	c := attribution.Click{
		ClickID: strings.TrimSpace(value(b.ClickID)), AdID: b.AdID, CampaignID: b.CampaignID, ClickedAt: b.at,
		FBCLID: value(b.FBCLID), GCLID: value(b.GCLID), FingerprintHash: or(value(b.FingerprintHash), hash),
		IP: value(b.IPAddress), UserAgent: value(b.UserAgent), DeviceType: value(b.DeviceType),
		LandingPageURL: value(b.LandingPageURL), Extra: b.extra, Consent: b.Consent,
	}
	if c.ClickID == "" {
		c.ClickID = uuid.Must(uuid.NewV7()).String()
	}
	return c
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
