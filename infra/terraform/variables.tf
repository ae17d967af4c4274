variable "project_id" {
  description = "The Google Cloud project that everything is made in."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 lower-case letters, digits and dashes), not its name or number."
  }
}

variable "region" {
  description = "The region of functions, schedules and buckets. Choose the one that the Supabase project is nearest to."
  type        = string
  default     = "us-central1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as us-central1 or europe-west3, not a zone or a continent."
  }
}

variable "domain" {
  description = "The host name that the world calls, such as api.example.com. Its A record is to point to the output address."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]{2,}$", var.domain))
    error_message = "domain must be a bare host name such as api.example.com: no scheme, no path, no port."
  }
}

variable "supabase_url" {
  description = "The Supabase project's address, such as https://abcdefghijklmnopqrst.supabase.co. It issues the access tokens."
  type        = string
  validation {
    condition     = can(regex("^https://[a-z0-9.-]+[a-z0-9]$", var.supabase_url))
    error_message = "supabase_url must be https://REF.supabase.co (or your own Auth domain), without a slash at the end."
  }
}

variable "cors_origins" {
  description = "Origins of other web front ends, such as https://app.example.com, that browsers may call the API and the video bucket from."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for o in var.cors_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", o))])
    error_message = "each of cors_origins must be https://HOST[:PORT], without a path; a star would let any page use a reader's sign-in."
  }
}

variable "deploy_functions" {
  description = "False for the first apply: everything but the functions is made, so that secrets can be given their values before anything reads them."
  type        = bool
  default     = true
}

variable "archives" {
  description = "The folder that infra/deploy -archive wrote: NAME.zip for each function. Only a function's first revision is built from it; infra/deploy brings the later ones."
  type        = string
  default     = "../../.stage/archives"
}

variable "base_image" {
  description = "The buildpack's Go run image. go.mod's version of Go must be in it."
  type        = string
  default     = "google-24/runtimes/go126"
  validation {
    condition     = can(regex("^google-[0-9]+(-full)?/runtimes/go[0-9]+$", var.base_image))
    error_message = "base_image must be STACK/runtimes/goNNN, such as google-24/runtimes/go126."
  }
}

variable "optional_secrets" {
  description = "Those of the manifest's optional secrets that this deployment uses, such as GEMINI_API_KEY. Each gets a secret, and needs a version before functions are deployed."
  type        = set(string)
  default     = []
  validation {
    condition     = length(setsubtract(var.optional_secrets, local.optional_secret_names)) == 0
    error_message = "optional_secrets may hold only names that functions.yaml lists under optional_secrets."
  }
}

variable "settings" {
  description = "Plain settings of the README's table that are to differ from their defaults, such as GEMINI_VERTEX_LOCATION. A function gets only those that the manifest names for it."
  type        = map(string)
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.settings), local.setting_names)) == 0
    error_message = "settings may hold only names that functions.yaml lists under settings; what is secret belongs into optional_secrets."
  }
  validation {
    condition     = length(setintersection(keys(var.settings), local.computed_setting_names)) == 0
    error_message = "settings holds a name that Terraform sets itself (local.computed_setting_names in manifest.tf)."
  }
}

variable "video_days" {
  description = "After how many days an uploaded video is deleted. What was found out about it stays."
  type        = number
  default     = 365
  validation {
    condition     = var.video_days >= 7 && floor(var.video_days) == var.video_days
    error_message = "video_days must be a whole number of at least 7: an analysis that failed can be asked for again within days."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete secrets, the Firestore database and functions. Set it to false, apply, and only then destroy."
  type        = bool
  default     = true
}

variable "github_repository" {
  description = "OWNER/NAME of the GitHub repository whose main branch may start a deployment; empty: none."
  type        = string
  default     = ""
  validation {
    condition     = var.github_repository == "" || can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "github_repository must be OWNER/NAME."
  }
}

variable "alert_email" {
  description = "Who is written to when an alert fires; empty: alerts are shown in Cloud Monitoring only."
  type        = string
  default     = ""
  validation {
    condition     = var.alert_email == "" || can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", var.alert_email))
    error_message = "alert_email must be an e-mail address."
  }
}
