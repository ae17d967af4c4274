# Who builds and deploys: the builder makes images of sources, the deployer runs
# cloudbuild.yaml, and GitHub's main branch may start it.

resource "google_service_account" "builder" {
  account_id   = "builder"
  display_name = "Builds functions"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "builder_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.functions.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_service_account" "deployer" {
  account_id   = "deployer"
  display_name = "Runs cloudbuild.yaml"

  depends_on = [google_project_service.this]
}

# infra/deploy builds, makes revisions and moves traffic, and looks at what is there.
# It cannot change who may call a function, nor read a function's secrets.
resource "google_project_iam_member" "deployer" {
  for_each = toset([
    "roles/cloudbuild.builds.editor",
    "roles/cloudscheduler.viewer",
    "roles/logging.logWriter",
    "roles/pubsub.viewer",
    "roles/run.developer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageConsumer",
  ])
  project = var.project_id
  role    = each.key
  member  = google_service_account.deployer.member
}

resource "google_storage_bucket_iam_member" "deployer_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer.member
}

resource "google_secret_manager_secret_iam_member" "deployer_migrates" {
  secret_id = google_secret_manager_secret.migrate.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.deployer.member
}

# A revision runs as its function's account and is built as the builder: making it
# needs the right to use both.
resource "google_service_account_iam_member" "deployer_uses" {
  for_each           = merge({ for name, a in google_service_account.function : name => a.id }, { builder = google_service_account.builder.id })
  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deployer.member
}

locals {
  github = var.github_repository == "" ? toset([]) : toset([var.github_repository])
}

resource "google_iam_workload_identity_pool" "github" {
  for_each                  = local.github
  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  for_each                           = local.github
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[each.key].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_mapping                  = { "google.subject" = "assertion.sub", "attribute.repository" = "assertion.repository" }
  # Only this repository's main branch: a pull request's workflow gets nothing.
  attribute_condition = "assertion.repository == '${each.key}' && assertion.ref == 'refs/heads/main'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "github" {
  for_each     = local.github
  account_id   = "github"
  display_name = "Starts a deployment from GitHub"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "github_signs_in" {
  for_each           = local.github
  service_account_id = google_service_account.github[each.key].id
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[each.key].name}/attribute.repository/${each.key}"
}

resource "google_project_iam_member" "github_builds" {
  for_each = var.github_repository == "" ? toset([]) : toset(["roles/cloudbuild.builds.editor", "roles/logging.viewer", "roles/serviceusage.serviceUsageConsumer"])
  project  = var.project_id
  role     = each.key
  member   = google_service_account.github[var.github_repository].member
}

resource "google_storage_bucket_iam_member" "github_source" {
  for_each = local.github
  bucket   = google_storage_bucket.source.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.github[each.key].member
}

resource "google_service_account_iam_member" "github_uses_deployer" {
  for_each           = local.github
  service_account_id = google_service_account.deployer.id
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.github[each.key].member
}
