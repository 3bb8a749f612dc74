vim.o.completeopt = 'menuone,noselect,popup'
vim.lsp.config('likely', { cmd = { 'likely', 'serve' }, on_attach = function(client, buffer)
  vim.lsp.completion.enable(true, client.id, buffer, { autotrigger = true,
    convert = function(item) return { word = item.textEdit.newText } end })
end })
vim.lsp.enable('likely')
vim.api.nvim_create_autocmd('LspProgress', { callback = function()
  vim.cmd.redraw()
  vim.api.nvim_echo({ { vim.lsp.status():sub(1, vim.v.echospace) } }, false, {})
end })
