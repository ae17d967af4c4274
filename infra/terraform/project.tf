# The project's services, and where sources and images are.
resource "google_project_service" "this" {
  for_each = toset([
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtrace.googleapis.com",
    "compute.googleapis.com",
    "firebaserules.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "telemetry.googleapis.com",
  ])
  service            = each.key
  disable_on_destroy = false # others in the project may use it
}

resource "google_artifact_registry_repository" "functions" {
  repository_id = "functions"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of functions, as the buildpack makes them."

  cleanup_policies {
    id     = "keep-recent" # enough to roll back to
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.this]
}

# Sources of functions, NAME/HASH.zip, and of builds.
resource "google_storage_bucket" "source" {
  name                        = "${var.project_id}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 90
    }
  }

  depends_on = [google_project_service.this]
}

# A function's first revision is built from this; infra/deploy brings the later ones.
resource "google_storage_bucket_object" "first" {
  for_each = local.deployed
  bucket   = google_storage_bucket.source.name
  name     = "${each.key}/first.zip"
  source   = "${var.archives}/${each.key}.zip"

  lifecycle {
    ignore_changes = all
  }
}
