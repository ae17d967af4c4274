# The deployment's own secrets. Terraform makes them empty: their values never stand
# in its state. The output fill_secrets prints the commands that fill them.
resource "google_secret_manager_secret" "deployment" {
  for_each            = local.secret_names
  secret_id           = lower(replace(each.key, "_", "-")) # never gv-..., which are tenants'
  deletion_protection = var.deletion_protection
  version_destroy_ttl = "604800s" # a version destroyed by mistake can be had back for 7 days

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

# The owner's URL, to a session. Only the deployer's migrations read it.
resource "google_secret_manager_secret" "migrate" {
  secret_id           = "migrate-database-url"
  deletion_protection = var.deletion_protection
  version_destroy_ttl = "604800s"

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}
