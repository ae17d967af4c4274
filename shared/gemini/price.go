package gemini

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Price is what a million tokens cost, in USD.
type Price struct{ Input, Output float64 }

// Prices are the known prices by model.
type Prices map[string]Price

var errPrices = errors.New("must be model:input/output, ... in USD per million tokens")

// UnmarshalText reads "gemini-3.8-flash:0.30/2.50,gemini-embedding-2:0.20".
func (p *Prices) UnmarshalText(text []byte) error {
	read := Prices{}
	for entry := range strings.SplitSeq(string(text), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		model, price, ok := strings.Cut(entry, ":")
		in, out, both := strings.Cut(price, "/")
		input, err := strconv.ParseFloat(in, 64)
		output := 0.0
		if both && err == nil {
			output, err = strconv.ParseFloat(out, 64)
		}
		if !ok || model == "" || err != nil || !(input >= 0 && output >= 0) || math.IsInf(input+output, 0) {
			return errPrices
		}
		read[model] = Price{input, output}
	}
	*p = read
	return nil
}

// cost returns what the tokens cost in millionths of a USD, rounded up: a USD per
// million tokens is one millionth per token.
func (p Prices) cost(model string, input, output int64) int64 {
	price := p[model]
	return int64(math.Ceil(float64(input)*price.Input + float64(output)*price.Output))
}
