output "address" {
  description = "What the A record of the domain points to. The certificate is issued once it does, within an hour."
  value       = google_compute_global_address.this.address
}

output "webhook_url" {
  description = "HubSpot's target URL, exactly: HubSpot signs it, so no slash at the end and no query."
  value       = "https://${var.domain}/webhooks/hubspot"
}

output "hubspot" {
  description = "What to enter at HubSpot; infra/hubspot holds the app as a project folder that can be uploaded."
  value = {
    target_url              = "https://${var.domain}/webhooks/hubspot"
    max_concurrent_requests = 10
    subscriptions           = "infra/hubspot/src/app/webhooks/webhooks-hsmeta.json"
    client_secret_goes_to   = "each tenant's own app: PUT /api/connections/hubspot; one app for all: the secret HUBSPOT_CLIENT_SECRET"
  }
}

output "supabase" {
  description = "What to set in the Supabase project."
  value = {
    site_url                = "https://${var.domain}"
    redirect_urls           = ["https://${var.domain}/console/"]
    custom_access_token     = "pg-functions://postgres/gv/access_token_hook"
    compute_size_at_least   = local.compute_needs
    connections             = local.connections
    connections_rolling_out = local.connections_rolling_out
    pooler_admits           = local.pooler_admits
  }
}

output "fill_secrets" {
  description = "Commands that give the secrets their values; each reads the value from standard input. Until a required one has a version, deploy_functions = true fails at the start-up probe."
  value = [
    for name in sort(concat([for s in google_secret_manager_secret.deployment : s.secret_id], [google_secret_manager_secret.migrate.secret_id])) :
    "gcloud secrets versions add ${name} --project ${var.project_id} --data-file=-"
  ]
}

output "functions" {
  description = "Each function's own address, which answers only the load balancer, Pub/Sub and Scheduler."
  value       = { for name, s in google_cloud_run_v2_service.function : name => s.uri }
}

output "github" {
  description = "What the workflow needs as repository variables."
  value = var.github_repository == "" ? null : {
    GCP_PROJECT                  = var.project_id
    GCP_REGION                   = var.region
    GCP_WORKLOAD_IDENTITY        = google_iam_workload_identity_pool_provider.github[var.github_repository].name
    GCP_SERVICE_ACCOUNT          = google_service_account.github[var.github_repository].email
    GCP_DEPLOYER_SERVICE_ACCOUNT = google_service_account.deployer.id
  }
}
