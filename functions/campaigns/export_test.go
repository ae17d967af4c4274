package campaigns

// NewLimited is New with another limit on an import's body.
var NewLimited = newLimited
