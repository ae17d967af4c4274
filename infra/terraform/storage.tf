# Videos: uploaded, looked at by Gemini, deleted after a while.
resource "google_storage_bucket" "videos" {
  name                        = "${var.project_id}-videos"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  cors {
    origin          = concat(["https://${var.domain}"], var.cors_origins)
    method          = ["GET", "HEAD", "PUT"]
    response_header = ["Content-Type", "Content-Length", "Content-Range", "x-goog-resumable"]
    max_age_seconds = 3600
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.video_days
    }
  }
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  depends_on = [google_project_service.this]
}

# The live view, where a function uses it: progress that a frontend listens to. Postgres
# stays the truth, and everything works without it.
locals {
  live = length(local.uses["firestore"]) > 0 ? toset(["live"]) : toset([])
}

resource "google_firestore_database" "live" {
  for_each                = local.live
  name                    = "(default)"
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"

  depends_on = [google_project_service.this]
}

# Progress is of no use a week later.
resource "google_firestore_field" "expiry" {
  for_each   = local.live
  database   = google_firestore_database.live[each.key].name
  collection = "progress"
  field      = "expires_at"

  ttl_config {}
  index_config {}
}

resource "google_firebaserules_ruleset" "live" {
  for_each = local.live
  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/firestore.rules")
    }
  }

  depends_on = [google_firestore_database.live]
}

resource "google_firebaserules_release" "live" {
  for_each     = local.live
  name         = "cloud.firestore"
  ruleset_name = google_firebaserules_ruleset.live[each.key].name
}
