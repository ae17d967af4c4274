package publish

import "time"

// Deadline is how long one call may take.
const Deadline = deadline

// BatchDelay is how long a lone message to a topic waits for others.
func (c *Client) BatchDelay(topic string) (time.Duration, error) {
	t, err := c.topic(topic)
	if err != nil {
		return 0, err
	}
	return t.PublishSettings.DelayThreshold, nil
}
