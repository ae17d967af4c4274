# Rights of functions. terraform_test.go works out from the manifest which there are
# to be, and fails for one more and for one less.

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each  = local.reads
  secret_id = google_secret_manager_secret.deployment[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishes
  topic    = google_pubsub_topic.this[each.value.topic].id
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.value.function].member
}

resource "google_storage_bucket_iam_member" "videos" {
  for_each = local.uses["bucket"]
  bucket   = google_storage_bucket.videos.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.function[each.key].member
}

resource "google_project_iam_member" "vertex" {
  for_each = contains(keys(var.settings), "GEMINI_VERTEX_LOCATION") ? local.uses["vertex"] : toset([])
  project  = var.project_id
  role     = "roles/aiplatform.user"
  member   = google_service_account.function[each.key].member
}

resource "google_project_iam_member" "firestore" {
  for_each = local.uses["firestore"]
  project  = var.project_id
  role     = "roles/datastore.user"
  member   = google_service_account.function[each.key].member
}

# Each function sends its metrics and its traces to telemetry.googleapis.com, unless
# OTEL_EXPORTER_OTLP_ENDPOINT names a collector or says none.
resource "google_project_iam_member" "metrics" {
  for_each = local.exports
  project  = var.project_id
  role     = "roles/telemetry.metricsWriter"
  member   = google_service_account.function[each.key].member
}

resource "google_project_iam_member" "traces" {
  for_each = local.exports
  project  = var.project_id
  role     = "roles/telemetry.tracesWriter"
  member   = google_service_account.function[each.key].member
}

# Tenants' own credentials are secrets called gv-TENANT-..., which functions make at
# run time. Reading one is checked on the secret, so a condition on its name holds.
# Google gives resource names with the project's number.
locals {
  tenant_secrets = "resource.name.startsWith(\"projects/${data.google_project.this.number}/secrets/gv-\")"
}

resource "google_project_iam_member" "secret_reader" {
  for_each = local.uses["secret-reader"]
  project  = var.project_id
  role     = "roles/secretmanager.secretAccessor"
  member   = google_service_account.function[each.key].member
  condition {
    title       = "secrets of tenants"
    description = "Not the deployment's own."
    expression  = local.tenant_secrets
  }
}

resource "google_project_iam_member" "secret_writer" {
  for_each = local.uses["secret-writer"]
  project  = var.project_id
  role     = "roles/secretmanager.secretVersionManager"
  member   = google_service_account.function[each.key].member
  condition {
    title       = "secrets of tenants"
    description = "Adds and disables versions; not of the deployment's own secrets."
    expression  = local.tenant_secrets
  }
}

# Making a secret is checked on the project, before the secret has a name: a condition
# on the name would never match. So this right is without one, in a role of its own
# that can make a secret and do nothing else, not even read what it made. A custom role
# is chosen over roles/secretmanager.admin, which could read and delete every secret.
resource "google_project_iam_custom_role" "secret_maker" {
  role_id     = "geminivideoSecretMaker"
  title       = "Makes secrets"
  description = "For functions that take tenants' credentials: makes empty secrets, nothing else."
  permissions = ["secretmanager.secrets.create"]
}

resource "google_project_iam_member" "secret_maker" {
  for_each = local.uses["secret-writer"]
  project  = var.project_id
  role     = google_project_iam_custom_role.secret_maker.id
  member   = google_service_account.function[each.key].member
}

# Tenants' own schedules are jobs that call functions as the caller of schedules.
resource "google_project_iam_custom_role" "job_editor" {
  role_id     = "geminivideoJobEditor"
  title       = "Edits Cloud Scheduler jobs"
  description = "For the functions that set tenants' own schedules and put them right."
  permissions = [
    "cloudscheduler.jobs.create",
    "cloudscheduler.jobs.delete",
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.list",
    "cloudscheduler.jobs.pause",
    "cloudscheduler.jobs.update",
  ]
}

resource "google_project_iam_member" "job_editor" {
  for_each = local.uses["scheduler"]
  project  = var.project_id
  role     = google_project_iam_custom_role.job_editor.id
  member   = google_service_account.function[each.key].member
}

resource "google_service_account_iam_member" "job_editor_calls_as" {
  for_each           = local.uses["scheduler"]
  service_account_id = google_service_account.caller["schedule"].id
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.function[each.key].member
}

# Who calls the functions that strangers do not reach: one account for Pub/Sub's
# pushes, one for Scheduler's runs, and each may call only the functions of its kind.
resource "google_service_account" "caller" {
  for_each     = { pubsub = "Pub/Sub pushes as this", schedule = "Cloud Scheduler calls as this" }
  account_id   = "caller-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.this]
}

resource "google_cloud_run_v2_service_iam_member" "caller" {
  for_each = merge(local.consumers, local.jobs)
  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.caller[each.value.trigger].member
}
