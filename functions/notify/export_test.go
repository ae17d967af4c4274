package notify

// AtOnce is how many deliveries to one tenant may be under way.
const AtOnce = atOnce
