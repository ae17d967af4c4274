package creative

// kind is what a field holds.
type kind int

const (
	category kind = iota // one of values, or another word of the same sort
	truth                // yes or no
	number               // between min and max
	words                // text: given to the embedder, learned from by its length at most
)

// field is one thing that the typed form knows of a creative. The table of them
// is the only source of the form: the schema that a model is asked for, the rules
// that its answer is held to, and the features that the oracle learns from.
type field struct {
	name    string // the feature's name and the flat key
	section string // where the typed form has it,
	member  string // and under which name
	kind    kind
	values  []string // a category's
	closed  bool     // no other value is understood
	min     float64  // a number's, both inclusive
	max     float64
	also    []string // further flat spellings
	bare    bool     // the section's own name with a known value says the same: "hook": "question"
	asked   bool     // of whoever watches the video; the rest the container itself says
	about   string   // what a watcher is asked, and a reader sees
}

// fields has the typed form in the order in which it is asked for, written out and learned.
// Names never change their meaning: a new meaning is a new name.
var fields = []field{
	{
		name: "hook_type", section: "hook", member: "type", kind: category, bare: true, asked: true, also: []string{"hook_style"},
		values: []string{
			"question", "problem", "promise", "transformation", "testimonial", "offer", "clickbait", "founder_story", "story", "statistic",
			"demonstration", "humor", "other",
		},
		about: "What the first three seconds do to stop the viewer.",
	},
	{
		name: "hook_strength", section: "hook", member: "strength", kind: number, max: 1, asked: true, also: []string{"hook_score"},
		about: "How strongly the opening stops the viewer, 0 to 1.",
	},
	{
		name: "hook_length_seconds", section: "hook", member: "length_seconds", kind: number, max: 60, asked: true,
		also:  []string{"hook_length", "hook_duration", "hook_duration_seconds"},
		about: "Seconds until the opening is over and the body begins.",
	},
	{
		name: "hook_text", section: "hook", member: "text", kind: words, asked: true, also: []string{"hook_first_words", "first_words"},
		about: "The first words spoken or shown, as they are; empty where there are none.",
	},
	{
		name: "visual_style", section: "visual", member: "style", kind: category, bare: true, asked: true,
		values: []string{"ugc", "talking_head", "studio", "cinematic", "animation", "slideshow", "screen_recording", "mixed", "other"},
		about:  "How the pictures were made.",
	},
	{
		name: "visual_setting", section: "visual", member: "setting", kind: category, asked: true, also: []string{"setting"},
		values: []string{"home", "office", "gym", "clinic", "shop", "outdoors", "studio", "screen", "other"},
		about:  "Where most of it plays.",
	},
	{
		name: "human_face", section: "visual", member: "human_face", kind: truth, asked: true,
		also:  []string{"visual_face", "has_face", "face"},
		about: "Whether a human face is to be seen in the first three seconds.",
	},
	{
		name: "product_shown", section: "visual", member: "product_shown", kind: truth, asked: true,
		about: "Whether the product, or the service being given, is to be seen.",
	},
	{
		name: "text_overlay", section: "visual", member: "text_overlay", kind: truth, asked: true, also: []string{"on_screen_text"},
		about: "Whether text other than captions of the speech is laid over the pictures.",
	},
	{
		name: "captions", section: "visual", member: "captions", kind: truth, asked: true, also: []string{"subtitles", "audio_captions"},
		about: "Whether what is spoken is also to be read.",
	},
	{
		name: "has_audio", section: "audio", member: "has_audio", kind: truth,
		about: "Whether the file has a sound track.",
	},
	{
		name: "voiceover", section: "audio", member: "voiceover", kind: truth, asked: true, also: []string{"voice_over"},
		about: "Whether somebody speaks who is not seen speaking.",
	},
	{
		name: "music", section: "audio", member: "music", kind: category, asked: true, also: []string{"music_type"},
		values: []string{"none", "calm", "upbeat", "dramatic", "trending", "other"},
		about:  "The music under it.",
	},
	{
		name: "visual_pacing", section: "pacing", member: "speed", kind: category, bare: true, asked: true,
		values: []string{"slow", "medium", "fast"}, also: []string{"pacing_type", "cut_speed"},
		about: "How fast it is cut: slow below 10 cuts a minute, fast above 30.",
	},
	{
		name: "cuts_per_minute", section: "pacing", member: "cuts_per_minute", kind: number, max: 300, asked: true,
		also:  []string{"cut_rate"},
		about: "Cuts a minute.",
	},
	{
		name: "emotion", section: "copy", member: "emotion", kind: category, asked: true,
		also: []string{"emotional_trigger", "primary_emotion"},
		values: []string{
			"curiosity", "hope", "trust", "doubt", "urgency", "belonging", "certainty", "joy", "fear", "frustration", "pride",
			"relief", "other",
		},
		about: "The feeling it works with most.",
	},
	{
		name: "tone", section: "copy", member: "tone", kind: category, asked: true,
		values: []string{"casual", "expert", "humorous", "inspiring", "serious", "urgent", "warm", "other"},
		about:  "How it speaks.",
	},
	{
		name: "proof", section: "copy", member: "proof", kind: category, asked: true, also: []string{"social_proof", "proof_type"},
		values: []string{"none", "testimonial", "numbers", "authority", "before_after", "guarantee", "other"},
		about:  "What it gives as proof.",
	},
	{
		name: "offer", section: "copy", member: "offer", kind: truth, asked: true, also: []string{"has_offer"},
		about: "Whether it names a price, a discount, a trial or something free.",
	},
	{
		name: "language", section: "copy", member: "language", kind: category, asked: true,
		about: "The language spoken or shown, as its two-letter ISO 639-1 code.",
	},
	{
		name: "message", section: "copy", member: "message", kind: words, asked: true, also: []string{"value_proposition"},
		about: "What it says, in one sentence of yours.",
	},
	{
		name: "cta_type", section: "cta", member: "type", kind: category, bare: true, asked: true, also: []string{"call_to_action"},
		values: []string{
			"none", "book_now", "sign_up", "learn_more", "send_message", "call", "buy", "download", "get_offer",
			"visit", "other",
		},
		about: "What it asks the viewer to do.",
	},
	{
		name: "cta_strength", section: "cta", member: "strength", kind: number, max: 1, asked: true,
		about: "How clearly and urgently it asks, 0 to 1.",
	},
	{
		name: "cta_text", section: "cta", member: "text", kind: words, asked: true,
		about: "The words that ask, as they are; empty where there are none.",
	},
	{
		name: "duration_seconds", section: "format", member: "duration_seconds", kind: number, max: 7200,
		also:  []string{"length_seconds", "video_length", "video_length_seconds", "duration"},
		about: "How long it plays.",
	},
	{
		name: "orientation", section: "format", member: "orientation", kind: category, closed: true,
		values: []string{"vertical", "square", "horizontal"},
		about:  "Which way the picture stands.",
	},
	{
		name: "aspect_ratio", section: "format", member: "aspect_ratio", kind: category, closed: true,
		values: []string{"9:16", "4:5", "1:1", "16:9", "4:3", "3:4", "2:3", "3:2"}, also: []string{"aspect"},
		about: "Width to height.",
	},
	{
		name: "frames_per_second", section: "format", member: "frames_per_second", kind: number, max: 1000,
		also:  []string{"fps", "frame_rate"},
		about: "Frames a second.",
	},
}
