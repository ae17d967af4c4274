package oracle_test

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/oracle/world"
)

func off(p oracle.Prediction, a world.Ad) float64 { return math.Abs(math.Log(p.CTR / a.CTR)) }
